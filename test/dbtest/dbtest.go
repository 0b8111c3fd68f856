// Package dbtest gives tests migrated SQLite databases. It runs the migrations once a process and
// then copies the file, because most tests of this project need a database and few test the migrations.
package dbtest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/storage"
)

var template = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "dbtest-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "template.db")
	db, err := storage.Open(context.Background(), "sqlite://"+path, storage.Options{})
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(context.Background()); err != nil {
		_ = db.Close()
		return nil, err
	}
	if err := db.Close(); err != nil { // writes the log into the file
		return nil, err
	}
	return os.ReadFile(path)
})

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
