package storage

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/core"
)

// fakeUsage is the usage in a database. Reading it takes some time.
type fakeUsage struct {
	mu    sync.Mutex
	bytes int64
	reads int
	takes time.Duration
	err   error
}

func (u *fakeUsage) read(context.Context, string) (int64, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reads++
	time.Sleep(u.takes)
	return u.bytes, u.err
}

// store reserves and writes n bytes.
func (u *fakeUsage) store(q *dataQuota, n int64) error {
	if err := q.reserve(context.Background(), "user-1", n); err != nil {
		return err
	}
	u.mu.Lock()
	u.bytes += n
	u.mu.Unlock()
	q.settle("user-1", n, nil)
	return nil
}

// TestDataQuota_reads checks when the usage is read: at the first write, a minute later, and before each refusal.
func TestDataQuota_reads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &fakeUsage{takes: time.Millisecond}
		q := newDataQuota(1000, u.read)
		want := func(what string, err error, code core.Code, reads int) {
			t.Helper()
			if core.CodeOf(err) != code || u.reads != reads {
				t.Errorf("%s: got %v after %d readings, want code %q after %d", what, err, u.reads, code, reads)
			}
		}
		want("the first write", u.store(q, 100), "", 1)
		for range 8 {
			want("another write", u.store(q, 100), "", 1)
		}
		want("a write beyond the limit", u.store(q, 200), core.CodePayloadTooLarge, 2)
		want("a write up to the limit", u.store(q, 100), "", 2)
		u.bytes = 0 // the user deletes everything
		want("a write after the deletion", u.store(q, 900), "", 3)
		time.Sleep(maxUsageAge)
		u.bytes = 1000 // another server has written something
		want("a write after a minute", u.store(q, 1), core.CodePayloadTooLarge, 4)
		u.bytes, u.err = 0, core.Unavailable("away")
		want("a write without a database", u.store(q, 1), core.CodeUnavailable, 5)
		u.err = nil
		q.add("user-1", 1000) // a run in progress
		want("a write after a run", u.store(q, 1), "", 6)
	})
}

// TestDataQuota_failedWrite checks that a write that failed does not count.
func TestDataQuota_failedWrite(t *testing.T) {
	t.Parallel()
	u := &fakeUsage{}
	q := newDataQuota(1000, u.read)
	for range 5 {
		if err := q.reserve(t.Context(), "user-1", 800); err != nil {
			t.Fatal(err)
		}
		q.settle("user-1", 800, errors.New("the disk is full"))
	}
	if got, err := q.usage(t.Context(), "user-1"); err != nil || got != 0 {
		t.Errorf("usage = %d, %v, want 0", got, err)
	}
}

// TestDataQuota_slowReading checks that a user with very many objects causes few readings.
func TestDataQuota_slowReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &fakeUsage{bytes: 1000, takes: 3 * time.Second}
		q := newDataQuota(1000, u.read)
		for range 100 {
			if err := u.store(q, 1); core.CodeOf(err) != core.CodePayloadTooLarge {
				t.Fatalf("store = %v, want PayloadTooLarge", err)
			}
			if _, err := q.usage(t.Context(), "user-1"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(600 * time.Millisecond)
		}
		if u.reads > 3 {
			t.Errorf("the usage was read %d times in a minute, want at most 3", u.reads)
		}
	})
}

// TestDataQuota_unlimited checks that nothing is read without a limit.
func TestDataQuota_unlimited(t *testing.T) {
	t.Parallel()
	u := &fakeUsage{bytes: 1 << 50}
	q := newDataQuota(0, u.read)
	if err := u.store(q, 1<<40); err != nil || u.reads != 0 {
		t.Errorf("store = %v after %d readings, want nil after none", err, u.reads)
	}
}
