package storage_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/storage/storagetest"
	"github.com/agentarea/agentarea/test/dbtest"
	"github.com/agentarea/agentarea/test/pgtest"
	"github.com/agentarea/agentarea/test/testenv"
)

// TestPostgresAway checks that reads and writes fail with Unavailable while the PostgreSQL server is
// stopped, and that they work again soon after it restarts, without losing acknowledged writes.
func TestPostgresAway(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	db, err := storage.Open(t.Context(), server.URL, storage.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	must(t, db.Migrate(t.Context()))
	now := time.Now()
	must(t, db.RenewLease(t.Context(), "before", now.Add(time.Hour)))
	server.Kill()
	for range 3 {
		if err := db.RenewLease(t.Context(), "meanwhile", now.Add(time.Hour)); core.CodeOf(err) != core.CodeUnavailable {
			t.Fatalf("write: got %v, want Unavailable", err)
		}
		if err := db.Ping(t.Context()); core.CodeOf(err) != core.CodeUnavailable {
			t.Fatalf("read: got %v, want Unavailable", err)
		}
	}
	must(t, server.Up())
	must(t, db.Ping(t.Context()))
	must(t, db.RenewLease(t.Context(), "after", now.Add(time.Hour)))
	var owners []string
	must(t, db.Reader().NewRaw("SELECT owner FROM leases ORDER BY owner").Scan(t.Context(), &owners))
	if !slices.Equal(owners, []string{"after", "before"}) {
		t.Errorf("unexpected leases of %v", owners)
	}
}

// TestPostgresReplicas checks that servers that start at the same time migrate once, and that their
// concurrent writes do not conflict.
func TestPostgresReplicas(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	now := time.Now().UTC()
	const servers, writes = 4, 40
	var wg sync.WaitGroup
	for i := range servers {
		wg.Go(func() {
			db, err := storage.Open(t.Context(), url, storage.Options{Readers: 2})
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = db.Close() }()
			if err := db.Migrate(t.Context()); err != nil {
				t.Error(err)
				return
			}
			for n := range writes {
				u := &core.User{
					ID: core.NewID("user"), Username: fmt.Sprintf("user-%d", n), Role: core.RoleMember, CreatedAt: now, UpdatedAt: now,
				}
				if err := db.CreateUser(t.Context(), nil, u); err != nil && core.CodeOf(err) != core.CodeConflict {
					t.Errorf("server %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	db, err := storage.Open(t.Context(), url, storage.Options{})
	must(t, err)
	defer func() { _ = db.Close() }()
	_, total, err := db.Users(t.Context(), core.Page{Limit: 1})
	must(t, err)
	if total != writes {
		t.Errorf("stored %d users, want %d", total, writes)
	}
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	setRapidChecks(t, testenv.Rounds(20, 100))
	storagetest.Run(t, func(t *testing.T) storagetest.Stores {
		db, err := storage.Open(t.Context(), dbtest.Postgres(t), storage.Options{Readers: 3})
		must(t, err)
		return db
	})
}

func TestPostgres_limits(t *testing.T) {
	t.Parallel()
	storagetest.RunLimits(t, func(t *testing.T) storagetest.Stores {
		db, err := storage.Open(t.Context(), dbtest.Postgres(t), storage.Options{ObjectLimits: storagetest.LimitsOfTest})
		must(t, err)
		return db
	})
}
