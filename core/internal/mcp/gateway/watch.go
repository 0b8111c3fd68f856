package gateway

import (
	"context"
	"time"

	"github.com/agentarea/agentarea/core"
)

// watch is something that ends with a login.
type watch struct{ end func() }

// endWith has end called once the login has ended. forget takes that back.
func (g *Gateway) endWith(loginID string, end func()) (forget func()) {
	w := &watch{end}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.watched[loginID] == nil {
		g.watched[loginID] = map[*watch]struct{}{}
	}
	g.watched[loginID][w] = struct{}{}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.watched[loginID], w)
		if len(g.watched[loginID]) == 0 {
			delete(g.watched, loginID)
		}
	}
}

// watch ends what is of a login that has ended, and what is idle.
func (g *Gateway) watch() {
	recheck := time.NewTicker(g.times.Recheck)
	defer recheck.Stop()
	idle := time.NewTicker(min(g.times.Recheck, max(g.times.Idle/4, time.Millisecond)))
	defer idle.Stop()
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-recheck.C:
			g.checkLogins()
		case <-idle.C:
			g.endIdle(time.Now())
		}
	}
}

func (g *Gateway) checkLogins() {
	g.mu.Lock()
	logins := make([]string, 0, len(g.watched))
	for id := range g.watched {
		logins = append(logins, id)
	}
	g.mu.Unlock()
	for _, id := range logins {
		ctx, cancel := context.WithTimeout(g.ctx, g.times.Recheck)
		_, err := g.auth.Live(ctx, id)
		cancel()
		// Another failure says nothing of the login: the database may be away.
		if err == nil || core.CodeOf(err) != core.CodeUnauthorized {
			continue
		}
		g.mu.Lock()
		var ends []*watch
		for w := range g.watched[id] {
			ends = append(ends, w)
		}
		g.mu.Unlock()
		for _, w := range ends {
			w.end()
		}
	}
}

func (g *Gateway) endIdle(now time.Time) {
	for _, s := range g.allSessions() {
		if s.idleFor(now) >= g.times.Idle {
			s.close("it was idle")
		}
	}
	for _, s := range g.allShared() {
		if s.idleFor(now) >= g.times.Idle {
			s.close()
		}
	}
}
