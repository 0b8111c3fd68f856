package limit

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

// maxKeys is the maximum number of keys of a Memory. Beyond it, the keys with the oldest windows are
// removed. A key takes about 300 bytes.
const maxKeys = 1 << 16

// Memory counts requests in this process. It is safe for concurrent use and never returns an error.
type Memory struct {
	now func() time.Time

	mu   sync.Mutex
	keys map[string]*list.Element
	// order has the counts sorted by the start of their minute windows.
	order *list.List
}

// count has the windows of a key.
type count struct {
	key            string
	minute, second window
}

// window counts n requests until end.
type window struct {
	n   int
	end time.Time
}

// NewMemory returns a Memory that uses the clock now, or time.Now if it is nil.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{now: now, keys: map[string]*list.Element{}, order: list.New()}
}

// at returns the window, or a new window of that length if this one has ended. A window that ends later
// than a new one would has ended, too: the clock was set back.
func (w window) at(now time.Time, length time.Duration) window {
	if w.end.After(now) && !w.end.After(now.Add(length)) {
		return w
	}
	return window{end: now.Add(length)}
}

func (w window) rate(now time.Time) core.RateWindow {
	return core.RateWindow{Count: w.n, Remaining: w.end.Sub(now)}
}

// TakeRate implements core.RateCounter.
func (m *Memory) TakeRate(_ context.Context, key string, l core.RateLimit) (core.Rate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	c := m.count(key, now)
	rate := c.rate(now)
	if rate.RetryAfter(l) > 0 {
		return rate, nil
	}
	c.minute.n++
	c.second.n++
	rate = c.rate(now)
	rate.Allowed = true
	return rate, nil
}

// RefundRate implements core.RateCounter.
func (m *Memory) RefundRate(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.keys[key]; e != nil {
		c := of(e)
		c.minute.n = max(c.minute.n-1, 0)
		c.second.n = max(c.second.n-1, 0)
	}
	return nil
}

// ResetRate implements core.RateCounter.
func (m *Memory) ResetRate(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.keys[key]; e != nil {
		m.drop(e)
	}
	return nil
}

// look returns the rate of a key without counting a request.
func (m *Memory) look(key string) core.Rate {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	c := count{}
	if e := m.keys[key]; e != nil {
		c = *of(e)
	}
	c.minute, c.second = c.minute.at(now, time.Minute), c.second.at(now, time.Second)
	return c.rate(now)
}

// note replaces the counts of a key by a rate from another counter.
func (m *Memory) note(key string, r core.Rate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	c := m.count(key, now)
	c.minute = window{n: r.Minute.Count, end: now.Add(r.Minute.Remaining)}
	c.second = window{n: r.Second.Count, end: now.Add(r.Second.Remaining)}
}

// count returns the count of a key with current windows. It creates the count if there is none.
func (m *Memory) count(key string, now time.Time) *count {
	m.prune(now)
	e := m.keys[key]
	if e == nil {
		e = m.order.PushBack(&count{key: key})
		m.keys[key] = e
	}
	c := of(e)
	minute := c.minute.at(now, time.Minute)
	if minute != c.minute {
		m.order.MoveToBack(e)
	}
	c.minute, c.second = minute, c.second.at(now, time.Second)
	return c
}

// prune removes counts whose windows have ended, and makes room for one more key.
func (m *Memory) prune(now time.Time) {
	for e := m.order.Front(); e != nil; e = m.order.Front() {
		c := of(e)
		if len(m.keys) < maxKeys && (c.minute.end.After(now) || c.second.end.After(now)) {
			return
		}
		m.drop(e)
	}
}

func (m *Memory) drop(e *list.Element) {
	m.order.Remove(e)
	delete(m.keys, of(e).key)
}

// of returns the count in a list element.
func of(e *list.Element) *count {
	c, _ := e.Value.(*count)
	return c
}

func (c *count) rate(now time.Time) core.Rate {
	return core.Rate{Minute: c.minute.rate(now), Second: c.second.rate(now)}
}
