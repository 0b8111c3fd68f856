package storage_test

import (
	"path/filepath"
	"testing"

	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/storage/storagetest"
)

func TestSQLite(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storagetest.Stores {
		// A path with what means something in a URL.
		path := filepath.Join(t.TempDir(), "a b?c%20#d&e.db")
		db, err := storage.Open(t.Context(), "sqlite://"+path, storage.Options{})
		must(t, err)
		return db
	})
}
