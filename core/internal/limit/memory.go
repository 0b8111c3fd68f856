package limit

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

// maxKeys bounds a Memory; past it those that are counted longest go first. A key
// takes about 300 bytes.
const maxKeys = 1 << 16

// Memory counts in this process. It never fails.
type Memory struct {
	now func() time.Time

	mu   sync.Mutex
	keys map[string]*list.Element
	// order has the counts by the start of their minutes.
	order *list.List
}

type count struct {
	key            string
	minute, second window
}

// window is over at its end.
type window struct {
	n   int
	end time.Time
}

// NewMemory makes one that judges by a clock: time.Now unless given.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{now: now, keys: map[string]*list.Element{}, order: list.New()}
}

// at is the window as it is at a time: over, it is a new one. A clock that was set
// back would make it last longer than any.
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

// look says where a key stands, and counts nothing.
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

// note takes over where a key stands elsewhere.
func (m *Memory) note(key string, r core.Rate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	c := m.count(key, now)
	c.minute = window{n: r.Minute.Count, end: now.Add(r.Minute.Remaining)}
	c.second = window{n: r.Second.Count, end: now.Add(r.Second.Remaining)}
}

// count finds or makes a key's, with windows of now.
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

// prune drops what is over, and makes room for one more.
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

func of(e *list.Element) *count {
	c, _ := e.Value.(*count)
	return c
}

func (c *count) rate(now time.Time) core.Rate {
	return core.Rate{Minute: c.minute.rate(now), Second: c.second.rate(now)}
}
