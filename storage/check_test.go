package storage_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
)

// problems returns what Check finds.
func problems(t *testing.T, db *storage.DB) (found []storage.Problem) {
	t.Helper()
	must(t, db.Check(t.Context(), func(p storage.Problem) { found = append(found, p) }))
	return found
}

func addFile(t *testing.T, db *storage.DB, user, id, key string) {
	t.Helper()
	now := time.Now()
	blob := core.Blob{Backend: "local", Key: key}
	must(t, db.ReserveBlob(t.Context(), blob, now.Add(time.Hour)))
	must(t, db.CreateFile(t.Context(), nil, &core.File{
		ID: id, Name: "a.txt", Size: 5, CreatedBy: user, CreatedAt: now, UpdatedAt: now, Version: 1, Blob: blob,
	}, 0))
}

// TestCheck checks that Check finds nothing in a good database, and each fault that a user could have.
func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		// damage is executed without foreign keys.
		damage []string
		want   []storage.Problem
	}{
		"nothing": {},
		"missing parents": {
			[]string{"DELETE FROM sessions"},
			[]storage.Problem{
				{Aspect: storage.AspectForeignKeys, Text: "1 row of the table messages refers to a row of sessions that does not exist"},
				{Aspect: storage.AspectForeignKeys, Text: "1 row of the table runs refers to a row of sessions that does not exist"},
			},
		},
		"content that is marked for deletion": {
			[]string{"INSERT INTO orphans (backend, key, sweep_at, claimed, attempts, reason) VALUES ('local', 'f/blob-1', 1, TRUE, 0, '')"},
			[]storage.Problem{{
				Aspect: storage.AspectFiles, Text: "the file file-1 refers to the content f/blob-1, which is marked for deletion",
			}},
		},
		"wrong counter": {
			[]string{"UPDATE file_usage SET bytes = 7"},
			[]storage.Problem{{
				Aspect: storage.AspectFiles,
				Text:   "the counters of user USER (files: 1, bytes: 7) differ from the user's files",
			}},
		},
		"no counter": {
			[]string{"DELETE FROM file_usage"},
			[]storage.Problem{{
				Aspect: storage.AspectFiles, Text: "the user USER (files: 1) has no counters",
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, db *storage.DB) {
				x, err := newBenchmark(t.Context(), db)
				must(t, err)
				_, _, err = x.start("s")
				must(t, err)
				addFile(t, db, x.user.ID, "file-1", "f/blob-1")
				damage(t, db, c.damage)
				want := slices.Clone(c.want)
				for i := range want {
					want[i].Text = strings.ReplaceAll(want[i].Text, "USER", x.user.ID)
				}
				if got := problems(t, db); !slices.Equal(got, want) {
					t.Errorf("got problems %q, want %q", got, want)
				}
			})
		})
	}
}

// damage executes statements on one connection that ignores foreign keys.
func damage(t *testing.T, db *storage.DB, statements []string) {
	t.Helper()
	if len(statements) == 0 {
		return
	}
	pool, err := db.Maintenance(t.Context())
	must(t, err)
	defer func() { must(t, pool.Close()) }()
	off := "PRAGMA foreign_keys = OFF"
	if pool.Dialect().Name().String() == "pg" {
		off = "SET session_replication_role = replica"
	}
	for _, s := range append([]string{off}, statements...) {
		_, err := pool.ExecContext(t.Context(), s)
		must(t, err)
	}
}

// TestCheck_damagedFile checks that a damaged page of a SQLite file is found.
func TestCheck_damagedFile(t *testing.T) {
	t.Parallel()
	db, path := openNew(t, storage.Options{})
	x, err := newBenchmark(t.Context(), db)
	must(t, err)
	for i := range 200 {
		a := *x.agent
		a.ID, a.Name = core.NewID("agent"), core.NewID("name")
		a.Config, err = json.Marshal(map[string]int{"i": i})
		must(t, err)
		must(t, db.CreateAgent(t.Context(), nil, &a))
	}
	must(t, db.Close())
	raw, err := sql.Open("sqlite", path)
	must(t, err)
	var page int64
	must(t, raw.QueryRowContext(t.Context(), "SELECT rootpage FROM sqlite_master WHERE name = 'agents'").Scan(&page))
	must(t, raw.Close())
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	_, err = file.WriteAt(make([]byte, 512), (page-1)*4096)
	must(t, err)
	must(t, file.Close())
	damaged := openAt(t, path, storage.Options{})
	found := problems(t, damaged)
	if len(found) == 0 || found[0].Aspect != storage.AspectIntegrity {
		t.Errorf("got problems %q, want one of the integrity", found)
	}
}

// TestCheck_beside checks that Check finds nothing while the database is written.
func TestCheck_beside(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *storage.DB) {
		x, err := newBenchmark(t.Context(), db)
		must(t, err)
		ctx, stop := context.WithCancel(t.Context())
		written := make(chan error, 1)
		go func() {
			for ctx.Err() == nil {
				run, _, err := x.start("s")
				if err == nil {
					err = x.end(run)
				}
				if err != nil {
					written <- err
					return
				}
			}
			written <- nil
		}()
		for range 3 {
			if found := problems(t, db); len(found) > 0 {
				t.Errorf("got problems %q, want none", found)
			}
		}
		stop()
		must(t, <-written)
	})
}

// TestVacuum checks that a SQLite file becomes smaller and keeps its rows, and that PostgreSQL can do it while it is used.
func TestVacuum(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *storage.DB) {
		x, err := newBenchmark(t.Context(), db)
		must(t, err)
		for i := range 300 {
			must(t, db.AddNotification(t.Context(), &core.Notification{
				Type: "test", Data: []byte(`"` + strings.Repeat("x", 4000) + `"`), CreatedAt: time.Now().Add(time.Duration(i)),
			}))
		}
		_, err = db.DeleteNotifications(t.Context(), time.Now().Add(time.Hour), 1000)
		must(t, err)
		before, after, err := db.Vacuum(t.Context())
		must(t, err)
		if db.Reader().Dialect().Name().String() == "sqlite" && after > before/2 {
			t.Errorf("got %d bytes before and %d after, want less than half", before, after)
		}
		if before == 0 || after == 0 || after > before+1<<20 {
			t.Errorf("got %d bytes before and %d after", before, after)
		}
		_, err = db.Agent(t.Context(), x.actor(), x.agent.ID)
		must(t, err)
		must(t, db.Write(t.Context(), func(context.Context, bun.IDB) error { return nil }))
		if found := problems(t, db); len(found) > 0 {
			t.Errorf("got problems %q after Vacuum, want none", found)
		}
	})
}
