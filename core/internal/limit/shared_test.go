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

// store is a shared counter that may be down.
type store struct {
	*Memory
	down  atomic.Bool
	asked atomic.Int64
}

func (s *store) TakeRate(ctx context.Context, key string, l core.RateLimit) (core.Rate, error) {
	s.asked.Add(1)
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

// Whom the store has refused it is not asked about again before the window is over.
func TestSharedRefusesWithoutAsking(t *testing.T) {
	t.Parallel()
	s, st, _ := newShared(t)
	l := core.RateLimit{PerMinute: 2}
	for i := range 50 {
		if r, _ := s.TakeRate(t.Context(), "ada", l); r.Allowed != (i < 2) {
			t.Fatalf("%d: %+v", i, r)
		}
	}
	if n := st.asked.Load(); n != 2 {
		t.Errorf("the store was asked %d times", n)
	}
	// Another limit is another question.
	if r, _ := s.TakeRate(t.Context(), "ada", core.RateLimit{PerMinute: 3}); !r.Allowed || r.Minute.Count != 3 {
		t.Errorf("%+v", r)
	}
}

// A store that is down keeps nobody out, and makes nobody wait but one now and then:
// requests are counted here, from where the store had them.
func TestSharedCountsHereWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	s, st, log := newShared(t)
	var clock atomic.Int64
	s.clock = func() time.Duration { return time.Duration(clock.Load()) }
	l := core.RateLimit{PerMinute: 5}
	taken := func() (n int) {
		for range 4 {
			if r, err := s.TakeRate(t.Context(), "ada", l); err != nil {
				t.Fatal(err)
			} else if r.Allowed {
				n++
			}
		}
		return n
	}
	if n := taken(); n != 4 {
		t.Fatalf("%d taken", n)
	}
	st.down.Store(true)
	st.asked.Store(0)
	if n := taken(); n != 1 {
		t.Errorf("%d taken with 4 of 5 used", n)
	}
	if n := st.asked.Load(); n != 1 {
		t.Errorf("a store that is down was asked %d times", n)
	}
	_, _ = s.TakeRate(t.Context(), "bob", l)
	clock.Add(int64(pause))
	for range 3 {
		_, _ = s.TakeRate(t.Context(), "bob", l)
	}
	if n := st.asked.Load(); n != 2 {
		t.Errorf("after the pause it was asked %d times in all", n)
	}
	st.down.Store(false)
	clock.Add(int64(pause))
	_, _ = s.TakeRate(t.Context(), "eve", l)
	_, _ = s.TakeRate(t.Context(), "eve", l)
	if n := st.asked.Load(); n != 4 {
		t.Errorf("it is back and was asked %d times in all", n)
	}
	if text := log.String(); strings.Count(text, "are not shared") != 1 || strings.Count(text, "are shared with the other servers again") != 1 {
		t.Errorf("the log says\n%s", text)
	}
}

// A client that leaves is no failure of the store's.
func TestSharedOfACallerThatLeft(t *testing.T) {
	t.Parallel()
	s, st, _ := newShared(t)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	for range 2 {
		if r, err := s.TakeRate(ctx, "ada", core.RateLimit{PerMinute: 5}); err != nil || !r.Allowed {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if n := st.asked.Load(); n != 2 {
		t.Errorf("the store was asked %d times", n)
	}
}
