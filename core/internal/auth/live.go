package auth

import (
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

const (
	// liveFor is how old the word that a login is alive may be.
	liveFor = time.Second
	// maxLive bounds each of the two maps.
	maxLive = 8192
)

// liveLogins remembers for a second which logins are alive. It keeps two maps
// and drops the older one when a second has passed or the newer one is full.
type liveLogins struct {
	now func() time.Time

	mu         sync.Mutex
	newer      map[string]liveLogin
	older      map[string]liveLogin
	turned     time.Time
	forgotten  uint64
	maxEntries int
}

type liveLogin struct {
	principal *core.Principal
	asked     time.Time
}

// question is the moment at which the stores were asked.
type question struct {
	at        time.Time
	forgotten uint64
}

func newLiveLogins(now func() time.Time) *liveLogins {
	return &liveLogins{now: now, newer: map[string]liveLogin{}, turned: now(), maxEntries: maxLive}
}

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
	if age := c.now().Sub(e.asked); age < 0 || age >= liveFor {
		return nil
	}
	return e.principal
}

func (c *liveLogins) ask() question {
	c.mu.Lock()
	defer c.mu.Unlock()
	return question{at: c.now(), forgotten: c.forgotten}
}

// put keeps an answer, unless a login was ended since the question.
func (c *liveLogins) put(loginID string, p *core.Principal, q question) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if q.forgotten != c.forgotten {
		return
	}
	if len(c.newer) >= c.maxEntries || q.at.Sub(c.turned) >= liveFor {
		c.older, c.newer, c.turned = c.newer, map[string]liveLogin{}, q.at
	}
	c.newer[loginID] = liveLogin{principal: p, asked: q.at}
}

// forgetAll has everybody be asked about again.
func (c *liveLogins) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten++
	clear(c.newer)
	clear(c.older)
}

func (c *liveLogins) forget(loginID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten++
	delete(c.newer, loginID)
	delete(c.older, loginID)
}
