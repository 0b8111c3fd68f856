package storage_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
)

// holdLock begins a write transaction, as another program could, and keeps it until stdin is closed.
func holdLock(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	fmt.Println("locked")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err // the lock ends with the process
}

func TestLockedLongerThanBusyTimeout(t *testing.T) {
	t.Parallel()
	const busyTimeout = 400 * time.Millisecond
	db, path := openNew(t, storage.Options{BusyTimeout: busyTimeout})
	ctx := t.Context()
	other := startProcess(t, "lock", path)
	other.line(t)

	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			begun := time.Now()
			err := db.RenewLease(ctx, fmt.Sprint("server-", i), begun)
			if waited := time.Since(begun); waited < busyTimeout {
				t.Errorf("failed after %s, want at least %s", waited, busyTimeout)
			}
			var e *core.Error
			if !errors.As(err, &e) || e.Code != core.CodeUnavailable || e.Message != "The database is busy" || e.Err == nil {
				t.Errorf("got %v, want Unavailable: The database is busy", err)
			}
		})
	}
	must(t, db.Ping(ctx)) // reads still work
	wg.Wait()

	// A write whose context ends before busyTimeout has no effect.
	short, cancel := context.WithTimeout(ctx, busyTimeout/8)
	defer cancel()
	u := &core.User{ID: "user-1", Username: "ada"}
	if err := db.CreateUser(short, nil, u); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want context.DeadlineExceeded", err)
	}

	must(t, other.stdin.Close())
	must(t, other.Wait())
	must(t, db.RenewLease(ctx, "server-1", time.Now()))
	if _, err := db.User(ctx, u.ID); core.CodeOf(err) != core.CodeNotFound {
		t.Fatalf("User after a cancelled write: got %v, want NotFound", err)
	}
}

func TestLockedShorterThanBusyTimeout(t *testing.T) {
	t.Parallel()
	db, path := openNew(t, storage.Options{})
	other := startProcess(t, "lock", path)
	other.line(t)
	done := make(chan error)
	go func() { done <- db.RenewLease(t.Context(), "server-1", time.Now()) }()
	select {
	case err := <-done:
		t.Fatalf("RenewLease returned %v while another process held the lock", err)
	case <-time.After(600 * time.Millisecond): // longer than one attempt
	}
	must(t, other.stdin.Close())
	must(t, other.Wait())
	must(t, <-done)
}

// TestCloseWhileLocked checks that waiting writes fail with Unavailable and that Close returns.
func TestCloseWhileLocked(t *testing.T) {
	t.Parallel()
	db, path := openNew(t, storage.Options{BusyTimeout: 200 * time.Millisecond})
	other := startProcess(t, "lock", path)
	other.line(t)
	answers := make(chan error)
	for range 3 {
		go func() { answers <- db.RenewLease(context.Background(), "server-1", time.Now()) }()
	}
	must(t, db.Close())
	for range 3 {
		if err := <-answers; core.CodeOf(err) != core.CodeUnavailable {
			t.Errorf("got %v, want Unavailable", err)
		}
	}
	must(t, other.stdin.Close())
	must(t, other.Wait())
}
