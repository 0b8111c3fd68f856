package limit

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage/storagetest"
)

// clock is a time that only tests move.
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

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func TestMemory(t *testing.T) {
	t.Parallel()
	storagetest.RunRates(t, NewMemory(nil))
}

func TestMemoryByTheClock(t *testing.T) {
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
		{0, false, 5, 58 * time.Second}, // the minute's limit is what keeps it
		{57999 * time.Millisecond, false, 5, time.Millisecond},
		{time.Millisecond, true, 1, 0}, // the next minute
		{-time.Hour, true, 1, 0},       // a clock that is set back keeps nobody out
		{2 * time.Hour, true, 1, 0},
	} {
		c.pass(step.pass)
		r, _ := m.TakeRate(t.Context(), "ada", l)
		if r.Allowed != step.taken || r.Minute.Count != step.minute || r.RetryAfter(l) != step.wait {
			t.Errorf("step %d: %+v, wait %s", i, r, r.RetryAfter(l))
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := NewMemory(c.now)
	l := core.RateLimit{PerMinute: 1}
	for i := range 2 * maxKeys {
		if r, _ := m.TakeRate(t.Context(), strconv.Itoa(i), l); !r.Allowed {
			t.Fatal(i)
		}
	}
	if len(m.keys) != maxKeys || m.order.Len() != maxKeys {
		t.Errorf("it keeps %d and %d of at most %d", len(m.keys), m.order.Len(), maxKeys)
	}
	if r, _ := m.TakeRate(t.Context(), strconv.Itoa(2*maxKeys-1), l); r.Allowed {
		t.Error("the newest is forgotten")
	}
	c.pass(time.Minute)
	_, _ = m.TakeRate(t.Context(), "ada", l)
	if len(m.keys) != 1 {
		t.Errorf("it keeps %d that are over", len(m.keys)-1)
	}
}

// To look counts nothing.
func TestMemoryLook(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := NewMemory(c.now)
	if r := m.look("ada"); r.Minute.Count != 0 || r.Minute.Remaining != time.Minute {
		t.Errorf("%+v", r)
	}
	_, _ = m.TakeRate(t.Context(), "ada", core.RateLimit{PerMinute: 5})
	c.pass(10 * time.Second)
	for range 2 {
		if r := m.look("ada"); r.Minute.Count != 1 || r.Minute.Remaining != 50*time.Second || r.Second.Count != 0 {
			t.Errorf("%+v", r)
		}
	}
}
