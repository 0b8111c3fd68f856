package storage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/dbtest"
	"github.com/agentarea/agentarea/test/pgtest"
)

// fill creates objects of each kind and returns the id of a pending task.
func fill(t *testing.T, db *storage.DB) string {
	t.Helper()
	ctx, now := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
	must(t,
		db.CreateUser(ctx, nil,
			&core.User{ID: "user-1", Username: "Ådä 'x' \\ ☃", Role: core.RoleAdmin, CreatedAt: now, UpdatedAt: now}))
	must(t,
		db.CreateLogin(ctx, nil,
			&core.Login{
				ID: "login-1", UserID: "user-1", RefreshHash: []byte{0, 1, 255}, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
			}))
	must(t, db.CreateAgent(ctx, nil, &core.Agent{
		ID: "agent-1", Name: "helper", Type: "chat", Status: core.AgentActive, Config: json.RawMessage(`{"a":"?'\\"}`),
		Shared: true, CreatedBy: "user-1", CreatedAt: now, UpdatedAt: now,
	}))
	var turns sync.WaitGroup // which share transactions
	for i := range 450 {     // more than two pages
		repeat := 1
		if i >= 200 && i < 400 { // one page is larger than a statement
			repeat = 2000
		}
		run := &core.Run{
			ID: core.NewID("run"), Kind: core.RunChat, AgentID: "agent-1", UserID: "user-1", SessionID: fmt.Sprint(i),
			Status: core.RunRunning, Owner: "gone", Attempt: 1, CreatedAt: now, Stream: i%2 == 0,
		}
		in := &core.Message{
			ID: core.NewID("msg"), AgentID: "agent-1", UserID: "user-1", SessionID: run.SessionID, RunID: run.ID,
			Role: sdk.RoleUser, Parts: []sdk.Part{{Text: strings.Repeat("Grüße? $1 ", repeat)}}, CreatedAt: now,
		}
		run.InputID = in.ID
		start := core.RunStart{Run: run, Input: in, Events: []core.EventRow{
			{RunID: run.ID, First: 1, Last: 1, Type: "start", Data: json.RawMessage(`{"type":"start"}`), CreatedAt: now},
		}}
		call := &core.Call{RunID: run.ID, Number: 1, Kind: core.CallComplete, RequestHash: []byte{1}}
		turns.Go(func() {
			err := db.StartRun(ctx, nil, start)
			if err == nil {
				err = db.RecordCall(ctx, run, call, nil)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	turns.Wait()
	blob := core.Blob{Backend: "local", Key: "key-1"}
	must(t, db.ReserveBlob(ctx, blob, now))
	must(t, db.ReserveBlob(ctx, core.Blob{Backend: "local", Key: "key-2"}, now))
	must(t,
		db.CreateFile(ctx, nil,
			&core.File{ID: "file-1", Name: "a.txt", Size: 5, Blob: blob, CreatedBy: "user-1", CreatedAt: now}, 100))
	must(t, db.CreateTask(ctx, nil, &core.Task{
		ID: "task-1", UserID: "user-1", AgentID: "agent-1", Title: "wait",
		Priority: core.PriorityHigh, Status: core.TaskPending,
		MaxAttempts: 1, RunAt: now, CreatedAt: now, UpdatedAt: now,
	}))
	must(t, db.StoreKey(ctx, &core.IdempotencyKey{UserID: "user-1", Key: "key-1", Hash: []byte{1}, Object: "task-1"}))
	return "task-1"
}

// plain makes the booleans of both databases look alike.
var plain = strings.NewReplacer("true", "1", "false", "0")

// dump returns the rows of all tables that Copy must copy, as text.
func dump(t *testing.T, db *storage.DB) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	tables, err := db.Tables(t.Context())
	must(t, err)
	for _, table := range tables {
		switch {
		case table == "schema_migrations", table == "leases", table == "servers", table == "instance",
			strings.HasPrefix(table, "river_"):
			continue
		}
		var rows []map[string]any
		must(t, db.Reader().NewSelect().Table(table).Scan(t.Context(), &rows))
		for _, row := range rows {
			var line strings.Builder
			for _, column := range slices.Sorted(maps.Keys(row)) {
				fmt.Fprintf(&line, "%s=%q ", column, plain.Replace(fmt.Sprint(row[column])))
			}
			all[table] = append(all[table], line.String())
		}
		slices.Sort(all[table])
	}
	return all
}

// openNamed opens a database by its URL and migrates it.
func openNamed(t *testing.T, url string) *storage.DB {
	t.Helper()
	db, err := storage.Open(t.Context(), url, storage.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	must(t, db.Migrate(t.Context()))
	return db
}

// TestCopy copies from SQLite to PostgreSQL and back. It checks that all rows are copied, that counters
// continue and that pending tasks are executed.
func TestCopy(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	from, _ := openNew(t, storage.Options{})
	waits := fill(t, from)
	last, err := from.LastNotification(ctx)
	must(t, err)
	_, err = from.DeleteNotifications(ctx, time.Now().Add(time.Hour), 100) // their numbers are not reused
	must(t, err)

	pg := openNamed(t, dbtest.Postgres(t))
	var reported []storage.CopiedTable
	must(t, storage.Copy(ctx, from, pg, func(c storage.CopiedTable) { reported = append(reported, c) }))
	back, _ := openNew(t, storage.Options{})
	must(t, storage.Copy(ctx, pg, back, func(storage.CopiedTable) {}))

	want := dump(t, from)
	for name, to := range map[string]*storage.DB{"PostgreSQL": pg, "SQLite": back} {
		got := dump(t, to)
		for table, rows := range want {
			if !slices.Equal(got[table], rows) {
				t.Errorf("%s: table %s: the %d copied rows differ from the %d original ones",
					name, table, len(got[table]), len(rows))
			}
		}
		must(t, to.CreateTask(ctx, nil, &core.Task{
			ID: "task-2", UserID: "user-1", AgentID: "agent-1",
			Title: "new", Priority: core.PriorityLow, Status: core.TaskPending,
			MaxAttempts: 1, RunAt: time.Now(), CreatedAt: time.Now(),
		}))
		next, err := to.LastNotification(ctx)
		must(t, err)
		if next != last+1 {
			t.Errorf("%s: notification %d of task-2 follows %d", name, next, last)
		}
		drawn := make(chan struct{}, 10)
		stop, err := to.Work(1, func(context.Context) { drawn <- struct{}{} })
		must(t, err)
		<-drawn
		<-drawn
		must(t, stop(ctx))
		waiting, err := to.NextTask(ctx, time.Now(), nil)
		must(t, err)
		if waiting == nil || waiting.ID != waits {
			t.Errorf("%s: NextTask = %v", name, waiting)
		}
	}
	for _, c := range reported {
		if c.Name == "messages" && c.Rows != 450 {
			t.Errorf("unexpected result for messages: %+v", c)
		}
	}
}

// TestCopyErrors checks that Copy returns clear errors and changes nothing when it fails.
func TestCopyErrors(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	refused := func(from, to *storage.DB, want string) {
		t.Helper()
		err := storage.Copy(ctx, from, to, func(storage.CopiedTable) {})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	from, _ := openNew(t, storage.Options{})
	fill(t, from)
	full, _ := openNew(t, storage.Options{})
	must(t, full.CreateUser(ctx, nil, &core.User{ID: "user-9", Username: "zoe"}))
	refused(from, full, "not empty, because its table users has rows")
	bare, err := storage.Open(ctx, "sqlite://"+t.TempDir()+"/bare.db", storage.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, bare.Close()) })
	refused(from, bare, "its schema is 0")
	must(t, bare.Migrate(ctx))
	must(t, from.RenewLease(ctx, "server-1", time.Now().Add(time.Minute)))
	refused(from, bare, "it is in use by 1 server:")
	must(t, from.ReleaseLease(ctx, "server-1"))

	// The copy fails after other tables were written.
	must(t, bare.Write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "CREATE TRIGGER no_events BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no'); END")
		return err
	}))
	refused(from, bare, "nothing was copied: table events")
	for table, rows := range dump(t, bare) {
		if len(rows) > 0 {
			t.Errorf("table %s has %d rows, want 0", table, len(rows))
		}
	}
}

// TestSchema checks that Schema reports missing migrations without applying them.
func TestSchema(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/new.db"
	if _, err := storage.Open(t.Context(), "sqlite://"+path, storage.Options{Existing: true}); err == nil {
		t.Error("Open with Existing opened a missing file")
	}
	for _, url := range []string{"sqlite://" + path, pgtest.Start(t)} {
		db, err := storage.Open(t.Context(), url, storage.Options{})
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		s, err := db.Schema(t.Context())
		must(t, err)
		if s.Version != 0 || s.Known != released || len(s.Missing) != released {
			t.Errorf("before Migrate: Schema = %+v", s)
		}
		must(t, db.Migrate(t.Context()))
		must(t, db.RenewLease(t.Context(), "server-1", time.Now().Add(time.Minute)))
		s, err = db.Schema(t.Context())
		must(t, err)
		if s.Version != released || len(s.Missing) != 0 || s.Servers != 1 {
			t.Errorf("after Migrate: Schema = %+v", s)
		}
	}
}

// TestEveryTableIsCopied checks that copiedTables, and so every backup, includes each table.
func TestEveryTableIsCopied(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t, storage.Options{})
	tables, err := db.Tables(t.Context())
	must(t, err)
	for _, table := range tables {
		switch {
		case table == "schema_migrations", table == "leases", table == "servers", table == "instance",
			strings.HasPrefix(table, "river_"):
			continue
		}
		if !slices.Contains(storage.Copied(), table) {
			t.Errorf("table %s is not in copiedTables", table)
		}
	}
}

// A column may be NULL in the first row of a table and bytes in a later one.
func TestCopy_nullBeforeBytes(t *testing.T) {
	t.Parallel()
	from, _ := openNew(t, storage.Options{})
	to, _ := openNew(t, storage.Options{})
	v := core.Actor{UserID: "user-1", Role: core.RoleAdmin}
	for i, secrets := range [][]byte{nil, []byte("secret"), nil} {
		id := fmt.Sprint("server-", i)
		must(t, from.CreateMCPServer(t.Context(), nil, v,
			&core.MCPServer{ID: id, Slug: id, CreatedBy: v.UserID, Secrets: secrets}, false))
	}
	must(t, storage.Copy(t.Context(), from, to, func(storage.CopiedTable) {}))
	for i, want := range []string{"", "secret", ""} {
		s, err := to.MCPServer(t.Context(), v, fmt.Sprint("server-", i))
		must(t, err)
		if string(s.Secrets) != want {
			t.Errorf("the copy of server %d has the secrets %q, want %q", i, s.Secrets, want)
		}
	}
}
