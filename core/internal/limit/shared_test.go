package limit

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage/storagetest"
)

// store is a shared counter that fails while down is set, and counts its calls.
type store struct {
	*Memory
	down  atomic.Bool
	calls atomic.Int64
}

func (s *store) TakeRate(ctx context.Context, key string, l core.RateLimit) (core.Rate, error) {
	s.calls.Add(1)
	if s.down.Load() {
		return core.Rate{}, errors.New("connection refused")
	}
	return s.Memory.TakeRate(ctx, key, l)
}

func (s *store) DeleteRates(context.Context, int) (int, error) { return 0, nil }

func newShared(t *testing.T) (*Shared, *store, *strings.Builder) {
	t.Helper()
	log := &strings.Builder{}
	st := &store{Memory: NewMemory(nil)}
	s := NewShared(st, slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(s.Close)
	return s, st, log
}

func TestShared(t *testing.T) {
	t.Parallel()
	s, _, _ := newShared(t)
	storagetest.RunRates(t, s)
}

// A key that exceeds its limit is rejected without asking the store until its window ends.
func TestShared_rejectsWithoutTheStore(t *testing.T) {
	t.Parallel()
	s, st, _ := newShared(t)
	l := core.RateLimit{PerMinute: 2}
	for i := range 50 {
		if r, _ := s.TakeRate(t.Context(), "ada", l); r.Allowed != (i < 2) {
			t.Fatalf("request %d: %+v, want only the first 2 allowed", i, r)
		}
	}
	if n := st.calls.Load(); n != 2 {
		t.Errorf("the store was called %d times, want 2", n)
	}
	// The store must decide about another limit.
	if r, _ := s.TakeRate(t.Context(), "ada", core.RateLimit{PerMinute: 3}); !r.Allowed || r.Minute.Count != 3 {
		t.Errorf("with another limit: %+v, want the third request allowed", r)
	}
}

// While the store fails, requests are counted in memory, starting at the counts of the store, and only one
// request in each interval calls the store.
func TestShared_storeDown(t *testing.T) {
	t.Parallel()
	s, st, log := newShared(t)
	var clock atomic.Int64
	s.clock = func() time.Duration { return time.Duration(clock.Load()) }
	l := core.RateLimit{PerMinute: 5}
	allowed := func() (n int) {
		for range 4 {
			if r, err := s.TakeRate(t.Context(), "ada", l); err != nil {
				t.Fatal(err)
			} else if r.Allowed {
				n++
			}
		}
		return n
	}
	if n := allowed(); n != 4 {
		t.Fatalf("%d requests allowed, want 4", n)
	}
	st.down.Store(true)
	st.calls.Store(0)
	if n := allowed(); n != 1 {
		t.Errorf("%d requests allowed after 4 of 5, want 1", n)
	}
	if n := st.calls.Load(); n != 1 {
		t.Errorf("the failing store was called %d times, want 1", n)
	}
	_, _ = s.TakeRate(t.Context(), "bob", l)
	clock.Add(int64(retryInterval))
	for range 3 {
		_, _ = s.TakeRate(t.Context(), "bob", l)
	}
	if n := st.calls.Load(); n != 2 {
		t.Errorf("the failing store was called %d times after the interval, want 2", n)
	}
	st.down.Store(false)
	clock.Add(int64(retryInterval))
	_, _ = s.TakeRate(t.Context(), "eve", l)
	_, _ = s.TakeRate(t.Context(), "eve", l)
	if n := st.calls.Load(); n != 4 {
		t.Errorf("the store was called %d times after it recovered, want 4", n)
	}
	if text := log.String(); strings.Count(text, "counting requests in the database failed") != 1 ||
		strings.Count(text, "counting requests in the database again") != 1 {
		t.Errorf("log = %s, want one line for the failure and one for the recovery", text)
	}
}

// A client that disconnects is not a failure of the store.
func TestShared_clientDisconnected(t *testing.T) {
	t.Parallel()
	s, st, _ := newShared(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		if r, err := s.TakeRate(ctx, "ada", core.RateLimit{PerMinute: 5}); err != nil || !r.Allowed {
			t.Fatalf("TakeRate = %+v, %v, want it allowed", r, err)
		}
	}
	if n := st.calls.Load(); n != 2 {
		t.Errorf("the store was called %d times, want 2", n)
	}
}
