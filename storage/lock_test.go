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

// holdLock begins a write as another program may, and keeps it until stdin ends.
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
	return err // the process ends, and with it the lock
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
				t.Errorf("gave up after %s", waited)
			}
			var e *core.Error
			if !errors.As(err, &e) || e.Code != core.CodeUnavailable || e.Message != "The database is busy" || e.Err == nil {
				t.Errorf("got %v, want that the database is busy", err)
			}
		})
	}
	must(t, db.Ping(ctx)) // reads go on
	wg.Wait()

	// A caller that does not wait so long is gone without effect.
	short, cancel := context.WithTimeout(ctx, busyTimeout/8)
	defer cancel()
	u := &core.User{ID: "user-1", Username: "ada"}
	if err := db.CreateUser(short, u); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want that its time was over", err)
	}

	must(t, other.stdin.Close())
	must(t, other.Wait())
	must(t, db.RenewLease(ctx, "server-1", time.Now()))
	if _, err := db.User(ctx, u.ID); core.CodeOf(err) != core.CodeNotFound {
		t.Fatalf("a write whose caller was gone: %v", err)
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
		t.Fatal("written through another's lock:", err)
	case <-time.After(600 * time.Millisecond): // longer than one try
	}
	must(t, other.stdin.Close())
	must(t, other.Wait())
	must(t, <-done)
}

// TestCloseWhileLocked: the writes that wait get their answers, and Close ends.
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
			t.Errorf("got %v", err)
		}
	}
	must(t, other.stdin.Close())
	must(t, other.Wait())
}
