package gateway

import (
	"context"
	"time"

	"github.com/agentarea/agentarea/core"
)

// loginWatch is a callback for the end of a login.
type loginWatch struct{ end func() }

// onLogout registers end to be called when the login has ended. cancel removes the
// registration.
func (g *Gateway) onLogout(loginID string, end func()) (cancel func()) {
	w := &loginWatch{end}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.loginWatches[loginID] == nil {
		g.loginWatches[loginID] = map[*loginWatch]struct{}{}
	}
	g.loginWatches[loginID][w] = struct{}{}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.loginWatches[loginID], w)
		if len(g.loginWatches[loginID]) == 0 {
			delete(g.loginWatches, loginID)
		}
	}
}

// runChecks ends sessions and streams whose login has ended, and closes idle sessions and
// upstreams. It returns when the gateway closes.
func (g *Gateway) runChecks() {
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
			g.closeIdle(time.Now())
		}
	}
}

// checkLogins calls the callbacks of all logins that have ended.
func (g *Gateway) checkLogins() {
	g.mu.Lock()
	logins := make([]string, 0, len(g.loginWatches))
	for id := range g.loginWatches {
		logins = append(logins, id)
	}
	g.mu.Unlock()
	for _, id := range logins {
		ctx, cancel := context.WithTimeout(g.ctx, g.times.Recheck)
		_, err := g.auth.Live(ctx, id)
		cancel()
		// Other errors, such as an unavailable database, do not mean that the login has ended.
		if err == nil || core.CodeOf(err) != core.CodeUnauthorized {
			continue
		}
		g.mu.Lock()
		var ends []*loginWatch
		for w := range g.loginWatches[id] {
			ends = append(ends, w)
		}
		g.mu.Unlock()
		for _, w := range ends {
			w.end()
		}
	}
}

// closeIdle closes the sessions and shared upstreams that have been idle for too long.
func (g *Gateway) closeIdle(now time.Time) {
	for _, s := range g.allSessions() {
		if s.idleFor(now) >= g.times.Idle {
			s.close("the session was idle")
		}
	}
	for _, s := range g.allShared() {
		if s.idleFor(now) >= g.times.Idle {
			s.close()
		}
	}
}
