package limit

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage/storagetest"
)

// clock is a clock that only tests advance.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func TestMemory(t *testing.T) {
	t.Parallel()
	storagetest.RunRates(t, NewMemory(nil))
}

func TestMemory_windows(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := NewMemory(c.now)
	l := core.RateLimit{PerMinute: 5, Burst: 2}
	for i, step := range []struct {
		pass   time.Duration
		taken  bool
		minute int
		wait   time.Duration
	}{
		{0, true, 1, 0},
		{900 * time.Millisecond, true, 2, 100 * time.Millisecond},
		{50 * time.Millisecond, false, 2, 50 * time.Millisecond},
		{50 * time.Millisecond, true, 3, 0}, // the next second
		{0, true, 4, time.Second},
		{time.Second, true, 5, 58 * time.Second},
		{0, false, 5, 58 * time.Second}, // the limit per minute applies
		{57999 * time.Millisecond, false, 5, time.Millisecond},
		{time.Millisecond, true, 1, 0}, // the next minute
		{-time.Hour, true, 1, 0},       // a clock that is set back rejects nothing
		{2 * time.Hour, true, 1, 0},
	} {
		c.advance(step.pass)
		r, _ := m.TakeRate(t.Context(), "ada", l)
		if r.Allowed != step.taken || r.Minute.Count != step.minute || r.RetryAfter(l) != step.wait {
			t.Errorf("step %d: got %+v and RetryAfter %s, want %+v", i, r, r.RetryAfter(l), step)
		}
	}
}

func TestMemory_maxKeys(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := NewMemory(c.now)
	l := core.RateLimit{PerMinute: 1}
	for i := range 2 * maxKeys {
		if r, _ := m.TakeRate(t.Context(), strconv.Itoa(i), l); !r.Allowed {
			t.Fatalf("key %d is rejected, want its first request allowed", i)
		}
	}
	if len(m.keys) != maxKeys || m.order.Len() != maxKeys {
		t.Errorf("%d keys and %d list elements, want %d", len(m.keys), m.order.Len(), maxKeys)
	}
	if r, _ := m.TakeRate(t.Context(), strconv.Itoa(2*maxKeys-1), l); r.Allowed {
		t.Error("the newest key was removed")
	}
	c.advance(time.Minute)
	_, _ = m.TakeRate(t.Context(), "ada", l)
	if len(m.keys) != 1 {
		t.Errorf("%d keys with ended windows are left", len(m.keys)-1)
	}
}

// look does not count a request.
func TestMemory_look(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := NewMemory(c.now)
	if r := m.look("ada"); r.Minute.Count != 0 || r.Minute.Remaining != time.Minute {
		t.Errorf("look of a new key = %+v, want no requests", r)
	}
	_, _ = m.TakeRate(t.Context(), "ada", core.RateLimit{PerMinute: 5})
	c.advance(10 * time.Second)
	for range 2 {
		if r := m.look("ada"); r.Minute.Count != 1 || r.Minute.Remaining != 50*time.Second || r.Second.Count != 0 {
			t.Errorf("look = %+v, want one request in this minute and 50 s left", r)
		}
	}
}
