package auth

import (
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

const (
	// liveFor is the maximum age of a cached login.
	liveFor = time.Second
	// maxLive is the maximum number of entries of each of the two maps.
	maxLive = 8192
)

// liveLogins caches active logins and API keys for a second. It has two maps, and drops the older
// one when a second has passed or the newer one is full.
type liveLogins struct {
	now func() time.Time

	mu    sync.Mutex
	newer map[string]liveLogin
	older map[string]liveLogin
	// rotated is the time at which newer was created.
	rotated time.Time
	// removals counts calls of forget and forgetAll.
	removals   uint64
	maxEntries int
}

type liveLogin struct {
	principal *core.Principal
	readAt    time.Time
}

// readMark identifies the moment at which the stores are read.
type readMark struct {
	at       time.Time
	removals uint64
}

func newLiveLogins(now func() time.Time) *liveLogins {
	return &liveLogins{now: now, newer: map[string]liveLogin{}, rotated: now(), maxEntries: maxLive}
}

// get returns the cached principal of a login or API key, or nil.
func (c *liveLogins) get(loginID string) *core.Principal {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.newer[loginID]
	if !ok {
		e, ok = c.older[loginID]
	}
	if !ok {
		return nil
	}
	if age := c.now().Sub(e.readAt); age < 0 || age >= liveFor {
		return nil
	}
	return e.principal
}

// mark returns the moment before the stores are read. The caller passes it to put afterwards.
func (c *liveLogins) mark() readMark {
	c.mu.Lock()
	defer c.mu.Unlock()
	return readMark{at: c.now(), removals: c.removals}
}

// put caches a principal, unless an entry was removed since m.
func (c *liveLogins) put(loginID string, p *core.Principal, m readMark) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.removals != c.removals {
		return
	}
	if len(c.newer) >= c.maxEntries || m.at.Sub(c.rotated) >= liveFor {
		c.older, c.newer, c.rotated = c.newer, map[string]liveLogin{}, m.at
	}
	c.newer[loginID] = liveLogin{principal: p, readAt: m.at}
}

// forgetAll removes all entries.
func (c *liveLogins) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removals++
	clear(c.newer)
	clear(c.older)
}

// forget removes an entry.
func (c *liveLogins) forget(loginID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removals++
	delete(c.newer, loginID)
	delete(c.older, loginID)
}
