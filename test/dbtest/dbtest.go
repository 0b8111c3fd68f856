// Package dbtest provides databases with the newest schema for tests. It runs the migrations once in a
// process and then copies their result, because hundreds of tests need a database.
package dbtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/pgtest"
)

var template = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "dbtest-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "template.db")
	if err := migrate("sqlite://" + path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// migrate creates the schema. When it returns, the database file of SQLite is complete.
func migrate(url string) error {
	db, err := storage.Open(context.Background(), url, storage.Options{})
	if err != nil {
		return err
	}
	return errors.Join(db.Migrate(context.Background()), db.Close())
}

var postgres struct {
	once sync.Once
	url  string
	err  error
}

// Postgres returns the URL of a new PostgreSQL database with the newest schema and no rows. It is
// dropped when the test ends. Without PostgreSQL the test is skipped.
func Postgres(tb testing.TB) string {
	tb.Helper()
	pgtest.Require(tb)
	postgres.once.Do(func() {
		postgres.url, _ = pgtest.Create(tb) // it ends with the server
		postgres.err = migrate(postgres.url)
	})
	if postgres.err != nil {
		tb.Fatal(postgres.err)
	}
	return pgtest.Copy(tb, postgres.url)
}

// Create writes a database with the newest schema and no rows to path, which must not exist.
func Create(tb testing.TB, path string) {
	tb.Helper()
	data, err := template()
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// Open opens a new database with the newest schema and no rows. It is closed when the test ends.
func Open(tb testing.TB) *storage.DB {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "test.db")
	Create(tb, path)
	db, err := storage.Open(context.Background(), "sqlite://"+path, storage.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}
