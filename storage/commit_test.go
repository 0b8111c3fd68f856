package storage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
)

// block blocks the committer until the returned function is called.
func block(t *testing.T, db *storage.DB) (release func()) {
	t.Helper()
	begun, end, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- db.Write(context.Background(), func(context.Context, bun.IDB) error {
			close(begun)
			<-end
			return nil
		})
	}()
	<-begun
	return func() {
		close(end)
		must(t, <-done)
	}
}

// eventually waits up to 10 s until the condition is true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// together runs the writes in one batch and returns their results.
func together(t *testing.T, db *storage.DB, writes ...func(ctx context.Context, db bun.IDB) error) []error {
	t.Helper()
	release := block(t, db)
	outcomes := make([]error, len(writes))
	var wg sync.WaitGroup
	for i, w := range writes {
		wg.Go(func() { outcomes[i] = db.Write(t.Context(), w) })
		eventually(t, "the write waits", func() bool { return db.Waiting() == i+1 })
	}
	release()
	wg.Wait()
	return outcomes
}

func insertLease(owner string) func(ctx context.Context, db bun.IDB) error {
	return func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "INSERT INTO leases (owner, until) VALUES (?, 1)", owner)
		return err
	}
}

func leases(t *testing.T, db *storage.DB) string {
	t.Helper()
	var owners []string
	must(t, db.Reader().NewRaw("SELECT owner FROM leases ORDER BY owner").Scan(t.Context(), &owners))
	return strings.Join(owners, " ")
}

func TestBatchIsolatesFailures(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t, storage.Options{})
	refused := core.Conflict("refused")
	got := together(
		t, db, insertLease("a"),
		func(ctx context.Context, db bun.IDB) error {
			return errors.Join(insertLease("b")(ctx, db), refused)
		},
		func(ctx context.Context, db bun.IDB) error {
			if err := insertLease("c")(ctx, db); err != nil {
				return err
			}
			return insertLease("a")(ctx, db) // conflicts with another write of the batch
		},
		insertLease("d"),
	)
	if got[0] != nil || !errors.Is(got[1], refused) || core.CodeOf(got[2]) != core.CodeConflict || got[3] != nil {
		t.Fatalf("got errors %v, want writes 1 and 2 to fail", got)
	}
	if l := leases(t, db); l != "a d" {
		t.Fatalf("stored leases: got %q", l)
	}
}

// TestBatchLost checks that all writes of a batch fail if the database rolls back the whole transaction,
// and that later writes succeed.
func TestBatchLost(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t, storage.Options{})
	lose := func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "ROLLBACK")
		return errors.Join(err, errors.New("lost"))
	}
	got := together(t, db, insertLease("a"), lose, insertLease("b"))
	for i, code := range []core.Code{core.CodeUnavailable, core.CodeInternal, core.CodeUnavailable} {
		if got[i] == nil || core.CodeOf(got[i]) != code {
			t.Errorf("write %d: got %v, want %s", i, got[i], code)
		}
	}
	if err := db.Write(t.Context(), lose); err == nil {
		t.Error("a write that rolled back the transaction succeeded")
	}
	must(t, db.Write(t.Context(), insertLease("c")))
	if l := leases(t, db); l != "c" {
		t.Fatalf("stored leases: got %q", l)
	}
}

func TestWriteCancelledWhileQueued(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t, storage.Options{})
	release := block(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- db.Write(ctx, insertLease("gone")) }()
	eventually(t, "the write waits", func() bool { return db.Waiting() == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) { // without waiting for earlier writes
		t.Fatalf("got %v, want context.Canceled", err)
	}
	release()
	must(t, db.Write(t.Context(), insertLease("next")))
	if l := leases(t, db); l != "next" {
		t.Fatalf("stored leases: got %q", l)
	}
}

func TestWriteCancelledWhileExecuted(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t, storage.Options{})
	for _, want := range []error{nil, core.Conflict("refused")} {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Write(ctx, func(ctx context.Context, db bun.IDB) error {
			cancel()
			if ctx.Err() != nil {
				t.Error("the context of the write is cancelled")
			}
			return errors.Join(insertLease(fmt.Sprint(want))(ctx, db), want)
		})
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if l := leases(t, db); l != "<nil>" {
		t.Fatalf("stored leases: got %q", l)
	}
}

func TestMoreWritesThanOneBatch(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t, storage.Options{})
	release := block(t, db)
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			if err := db.Write(t.Context(), insertLease(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "the queue is full", func() bool { return db.Waiting() == 256 })
	release()
	wg.Wait()
	if n := len(strings.Fields(leases(t, db))); n != 1000 {
		t.Fatalf("stored %d leases, want 1000", n)
	}
}

// TestDiskFull checks that writes fail with a clear message while the disk is full, that reads still
// work, and that writes work again when there is space.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t, storage.Options{})
	must(t, db.CreateUser(t.Context(), nil, &core.User{ID: "user-1", Username: "ada"}))
	limitPages(t, db, 1)
	stored := map[string]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			u := &core.User{ID: fmt.Sprint("user-x", i), Username: strings.Repeat(fmt.Sprint(i, " "), 1000)}
			err := db.CreateUser(t.Context(), nil, u)
			if err != nil && core.CodeOf(err) != core.CodeUnavailable {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			stored[u.ID] = err == nil
		})
	}
	wg.Wait()
	for id, is := range stored {
		if _, err := db.User(t.Context(), id); (err == nil) != is {
			t.Errorf("%s: CreateUser succeeded: %t, but then User = %v", id, is, err)
		}
	}
	u := &core.User{ID: "user-2", Username: strings.Repeat("bob", 10_000)}
	var e *core.Error
	if err := db.CreateUser(t.Context(), nil, u); !errors.As(err, &e) ||
		e.Code != core.CodeUnavailable || e.Message != "The disk of the database is full. Free some space on it" {
		t.Fatal(err)
	}
	_, err := db.User(t.Context(), "user-1")
	must(t, err)
	limitPages(t, db, 1<<30)
	must(t, db.CreateUser(t.Context(), nil, u))
	checkIntegrity(t, db)
}
