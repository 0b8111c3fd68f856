package storage_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/dbtest"
)

// TestSnapshot checks that a snapshot contains all rows and is consistent while a server writes: the
// usage of a user equals the size of the user's files.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) *storage.DB{
		"sqlite":   func(t *testing.T) *storage.DB { db, _ := openNew(t, storage.Options{}); return db },
		"postgres": func(t *testing.T) *storage.DB { return openNamed(t, dbtest.Postgres(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			db := open(t)
			fill(t, db)
			must(t, db.RenewLease(ctx, "server-1", time.Now().Add(time.Minute)))
			instance, err := db.Instance(ctx)
			must(t, err)
			snap := snapshotOf(t, db)
			got, want := dump(t, snap), dump(t, db)
			for table, rows := range want {
				if !slices.Equal(got[table], rows) {
					t.Errorf("table %s: the %d rows of the snapshot differ from the %d rows of the database",
						table, len(got[table]), len(rows))
				}
			}
			if s, err := snap.Schema(ctx); err != nil || s.Servers != 0 || s.Version != s.Known {
				t.Errorf("Schema of the snapshot = %+v, %v, want the current schema and no servers", s, err)
			}
			again, err := db.Instance(ctx)
			must(t, err)
			if other, err := snap.Instance(ctx); err != nil || again != instance || other == instance || other == "" {
				t.Errorf("Instance = %q, then %q, and %q of the snapshot (%v), want another one for the snapshot",
					instance, again, other, err)
			}
			sums, err := db.Sums(ctx)
			must(t, err)
			snapSums, err := snap.Sums(ctx)
			must(t, err)
			if !slices.Equal(sums, snapSums) || len(sums) == 0 {
				t.Errorf("Sums of the snapshot = %v, want %v", snapSums, sums)
			}

			writing, stop := context.WithCancel(ctx)
			var wg sync.WaitGroup
			wg.Go(func() {
				for i := 0; writing.Err() == nil; i++ {
					blob := core.Blob{Backend: "local", Key: fmt.Sprint("k", i)}
					now := time.Now()
					must(t, db.ReserveBlob(ctx, blob, now))
					must(t,
						db.CreateFile(ctx, nil,
							&core.File{ID: core.NewID("file"), Size: 1, Blob: blob, CreatedBy: "user-2", CreatedAt: now}, 0))
				}
			})
			for range 3 {
				snap := snapshotOf(t, db)
				usage, err := snap.FileUsage(ctx, "user-2")
				must(t, err)
				files, total, err := snap.Files(ctx, core.Actor{UserID: "user-2"}, core.FileFilter{})
				must(t, err)
				if int(usage) != total {
					t.Errorf("usage is %d bytes, but there are %d files of one byte (listed %d)", usage, total, len(files))
				}
			}
			stop()
			wg.Wait()
			n := 0
			must(t, snap.EachFile(ctx, func(*core.File) error { n++; return nil }))
			if n != 1 {
				t.Errorf("EachFile called do %d times, want 1", n)
			}
		})
	}
}

// snapshotOf takes a snapshot and opens it.
func snapshotOf(t *testing.T, db *storage.DB) *storage.DB {
	t.Helper()
	path := t.TempDir() + "/copy.db"
	must(t, db.Snapshot(t.Context(), path))
	copied, err := storage.Open(t.Context(), "sqlite://"+path, storage.Options{Existing: true})
	must(t, err)
	t.Cleanup(func() { must(t, copied.Close()) })
	return copied
}

func TestSnapshot_emptyDatabase(t *testing.T) {
	t.Parallel()
	db, err := storage.Open(t.Context(), "sqlite://"+t.TempDir()+"/bare.db", storage.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	if err := db.Snapshot(t.Context(), t.TempDir()+"/copy.db"); err == nil {
		t.Error("Snapshot of an empty database succeeded")
	}
}
