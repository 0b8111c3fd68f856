package gateway

import (
	"time"

	"github.com/agentarea/agentarea/core"
)

// reserve reserves a slot for one more session of the user on the server. When a limit is
// reached, it ends the session that has been idle longest, because some clients never end their
// sessions. It fails with CodeRateLimited or CodeUnavailable when no session is idle. The
// caller calls release once the session has ended; release may be called more than once.
func (g *Gateway) reserve(c *caller) (release func(), err error) {
	key := c.userID() + " " + c.server.ID
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ctx.Err() != nil {
		return nil, core.Unavailable("The server is shutting down. Try again later.")
	}
	sameKey := func(s *session) bool { return s.userID == c.userID() && s.serverID == c.server.ID }
	if g.sessionCounts[key] >= g.limits.Sessions && !g.evict(sameKey) {
		return nil, &core.Error{
			Code: core.CodeRateLimited, RetryAfter: g.times.Call,
			Message: "Too many sessions with this MCP server are open. End one with a DELETE request, then try again.",
		}
	}
	if g.sessionTotal >= g.limits.TotalSessions && !g.evict(func(*session) bool { return true }) {
		return nil, &core.Error{
			Code: core.CodeUnavailable, RetryAfter: g.times.Call,
			Message: "Too many MCP sessions are open. Try again later.",
		}
	}
	g.sessionCounts[key]++
	g.sessionTotal++
	released := false
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if released {
			return
		}
		released = true
		g.sessionTotal--
		if g.sessionCounts[key]--; g.sessionCounts[key] == 0 {
			delete(g.sessionCounts, key)
		}
	}, nil
}

// evict ends the session that has been idle longest among those that f accepts. It returns
// false when all of them are in use. The caller holds g.mu.
func (g *Gateway) evict(f func(*session) bool) bool {
	var oldest *session
	var longest time.Duration
	now := time.Now()
	for _, s := range g.sessions {
		if idle := s.idleFor(now); f(s) && idle > longest {
			oldest, longest = s, idle
		}
	}
	if oldest == nil {
		return false
	}
	delete(g.sessions, oldest.id)
	go oldest.close("a newer session replaced it")
	return true
}

// register makes the session available to later requests. The session ends when its login ends,
// and calls release when it has ended.
func (g *Gateway) register(s *session, loginID string, release func()) {
	s.onEnd(release)
	s.onEnd(g.onLogout(loginID, func() { s.close("the user signed out") }))
	g.mu.Lock()
	g.sessions[s.id] = s
	g.mu.Unlock()
	// The connection may have closed before the session was in g.sessions.
	if s.ctx.Err() != nil {
		s.onClosed()
	}
}

// allSessions returns a copy of the list of open sessions.
func (g *Gateway) allSessions() []*session {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*session, 0, len(g.sessions))
	for _, s := range g.sessions {
		all = append(all, s)
	}
	return all
}
