package auth

import (
	"net/netip"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

const (
	window = time.Minute
	// maxCounted bounds a limiter's memory; the oldest windows go first.
	maxCounted = 16384
)

// limiter counts what each key did in its present minute.
type limiter struct {
	limit int
	now   func() time.Time

	mu     sync.Mutex
	counts map[string]*count
	// order holds the keys by the start of their windows.
	order []*count
}

type count struct {
	key   string
	n     int
	start time.Time
}

func newLimiter(limit int, now func() time.Time) *limiter {
	return &limiter{limit: limit, now: now, counts: map[string]*count{}}
}

// take counts one more, or fails with RateLimited.
func (l *limiter) take(key string) error {
	if l.limit < 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.prune(now)
	c := l.counts[key]
	if c == nil {
		c = &count{key: key, start: now}
		l.counts[key] = c
		l.order = append(l.order, c)
	}
	if c.n >= l.limit {
		return &core.Error{
			Code: core.CodeRateLimited, Message: "Too many sign-ins: wait and try again",
			RetryAfter: max(c.start.Add(window).Sub(now), time.Second),
		}
	}
	c.n++
	return nil
}

// giveBack takes one off again.
func (l *limiter) giveBack(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.counts[key]; c != nil && c.n > 0 {
		c.n--
	}
}

// reset forgets what a key did.
func (l *limiter) reset(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.counts[key]; c != nil {
		c.n = 0
	}
}

func (l *limiter) prune(now time.Time) {
	gone := 0
	for _, c := range l.order {
		age := now.Sub(c.start)
		if age >= 0 && age < window && len(l.order)-gone < maxCounted {
			break
		}
		delete(l.counts, c.key)
		gone++
	}
	clear(l.order[:gone])
	l.order = l.order[gone:]
}

// addressKey is what an address counts under: itself, or of IPv6 its /64.
func addressKey(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	p, err := ip.Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}
