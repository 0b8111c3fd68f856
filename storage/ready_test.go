package storage_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/dbtest"
	"github.com/agentarea/agentarea/test/pgtest"
)

// onBoth runs a test with a new database of each kind.
func onBoth(t *testing.T, test func(t *testing.T, db *storage.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		db, _ := openNew(t, storage.Options{})
		test(t, db)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		db, err := storage.Open(t.Context(), dbtest.Postgres(t), storage.Options{})
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		test(t, db)
	})
}

// wantUnready fails the test unless the database is not ready for the given reason.
func wantUnready(t *testing.T, db *storage.DB, want string) {
	t.Helper()
	err := db.Ready(t.Context(), "server")
	var e *core.Error
	if !errors.As(err, &e) || e.Code != core.CodeUnavailable || e.Message != want {
		t.Errorf("Ready = %v, want Unavailable: %s", err, want)
	}
}

func TestReady_lease(t *testing.T) {
	t.Parallel()
	const expired = "The lease of the server has expired. The server renews it within seconds"
	onBoth(t, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		wantUnready(t, db, expired)
		must(t, db.RenewLease(ctx, "server", time.Now().Add(time.Hour)))
		must(t, db.RenewLease(ctx, "other", time.Now().Add(time.Hour)))
		must(t, db.Ready(ctx, "server"))
		must(t, db.RenewLease(ctx, "server", time.Now().Add(-time.Second)))
		wantUnready(t, db, expired)
		must(t, db.RenewLease(ctx, "server", time.Now().Add(time.Hour)))
		must(t, db.Ready(ctx, "server"))
		must(t, db.ReleaseLease(ctx, "server"))
		wantUnready(t, db, expired)
	})
}

// A database that can be read but not written is not ready, and it is ready again when it can be written.
func TestReady_readOnly(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := newPath(t)
		dbtest.Create(t, path)
		db, err := storage.Open(t.Context(), "sqlite://"+path, storage.Options{})
		must(t, err)
		must(t, db.RenewLease(t.Context(), "server", time.Now().Add(time.Hour)))
		must(t, db.Ready(t.Context(), "server"))
		must(t, db.Close())
		// A later version of the file format makes SQLite treat the file as one on a read-only file system. The user
		// root could write there.
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		must(t, err)
		_, err = file.WriteAt([]byte{3}, 18)
		must(t, errors.Join(err, file.Close()))
		db = openAt(t, path, storage.Options{})
		wantUnready(t, db, "The database is read-only")
		must(t, db.Ping(t.Context())) // it can still be read
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		server := pgtest.Own(t)
		db, err := storage.Open(t.Context(), server.URL, storage.Options{})
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		must(t, db.Migrate(t.Context()))
		must(t, db.RenewLease(t.Context(), "server", time.Now().Add(time.Hour)))
		must(t, db.Ready(t.Context(), "server"))
		// setReadOnly waits until the session of the writer knows the new setting.
		setReadOnly := func(value string, done func(error) bool) {
			server.Execute(t, "ALTER SYSTEM SET default_transaction_read_only = "+value)
			server.Execute(t, "SELECT pg_reload_conf()")
			for deadline := time.Now().Add(time.Minute); !done(db.Ready(t.Context(), "server")); {
				if time.Now().After(deadline) {
					t.Fatalf("the server ignores default_transaction_read_only = %s", value)
				}
				time.Sleep(time.Millisecond)
			}
		}
		setReadOnly("on", func(err error) bool { return err != nil })
		wantUnready(t, db, "The database is read-only")
		must(t, db.Ping(t.Context())) // it can still be read
		setReadOnly("off", func(err error) bool { return err == nil })
		server.Kill()
		wantUnready(t, db, "The database cannot be read or written")
		must(t, server.Up())
		must(t, db.Ready(t.Context(), "server"))
	})
}
