package storage_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/pgtest"
)

// River elects a leader on PostgreSQL, which deletes finished jobs and starts those that are due.
func TestWork_electsLeader(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	db, err := storage.Open(t.Context(), url, storage.Options{})
	must(t, err)
	defer func() { must(t, db.Close()) }()
	must(t, db.Migrate(t.Context()))
	stop, err := db.Work(1, func(context.Context) {})
	must(t, err)
	defer func() { must(t, stop(t.Context())) }()
	direct := sql.OpenDB(pgdriver.NewConnector(pgdriver.WithDSN(url), pgdriver.WithInsecure(true)))
	defer func() { _ = direct.Close() }()
	eventually(t, "a leader of the task queue", func() bool {
		var leaders int
		must(t, direct.QueryRowContext(t.Context(), "SELECT count(*) FROM river_leader").Scan(&leaders))
		return leaders == 1
	})
}

func TestWithoutComments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ query, want string }{
		{"SELECT 1", "SELECT 1"},
		{"-- name: A :one\nSELECT $1", "\nSELECT $1"},
		{"SELECT $1, -- it doesn't matter\n $2", "SELECT $1, \n $2"},
		{"SELECT '--' || $1 -- 'x'", "SELECT '--' || $1 "},
		{`SELECT "a--b", 'it''s -- here', $1`, `SELECT "a--b", 'it''s -- here', $1`},
		{"SELECT 1 - -1 --", "SELECT 1 - -1 "},
	} {
		if got := storage.WithoutComments(tt.query); got != tt.want {
			t.Errorf("withoutComments(%q) = %q, want %q", tt.query, got, tt.want)
		}
	}
}

// The queue needs the lock of the SQLite file to start. Work can be called again when it failed.
func TestWork_databaseIsBusy(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t, storage.Options{BusyTimeout: 20 * time.Millisecond})
	release := block(t, db)
	if _, err := db.Work(1, func(context.Context) {}); core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("Work() = %v while another process writes, want %s", err, core.CodeUnavailable)
	}
	release()
	stop, err := db.Work(1, func(context.Context) {})
	must(t, err)
	must(t, stop(t.Context()))
}
