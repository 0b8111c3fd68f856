package storage_test

import (
	"context"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
)

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
