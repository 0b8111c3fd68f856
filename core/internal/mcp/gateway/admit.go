package gateway

import (
	"time"

	"github.com/agentarea/agentarea/core"
)

// reserve makes room for one more session of the user with the server. When
// there is none, the session that is idle longest goes: there are clients that
// never say that they leave.
func (g *Gateway) reserve(c *caller) (release func(), err error) {
	key := c.userID() + " " + c.server.ID
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ctx.Err() != nil {
		return nil, core.Unavailable("The server is shutting down")
	}
	if g.places[key] >= g.limits.Sessions && !g.evict(func(s *session) bool { return s.userID == c.userID() && s.serverID == c.server.ID }) {
		return nil, &core.Error{
			Code: core.CodeRateLimited, RetryAfter: g.times.Call,
			Message: "Too many sessions with this MCP server: end one, by DELETE, first",
		}
	}
	if g.taken >= g.limits.TotalSessions && !g.evict(func(*session) bool { return true }) {
		return nil, &core.Error{Code: core.CodeUnavailable, RetryAfter: g.times.Call, Message: "Too many MCP sessions are open"}
	}
	g.places[key]++
	g.taken++
	released := false
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if released {
			return
		}
		released = true
		g.taken--
		if g.places[key]--; g.places[key] == 0 {
			delete(g.places, key)
		}
	}, nil
}

// evict ends the session that is idle longest of those that f names.
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
	go oldest.close("another session took its place")
	return true
}

// admit makes a session known. It ends with its login, and gives its place back.
func (g *Gateway) admit(s *session, loginID string, release func()) {
	s.atEnd(release)
	s.atEnd(g.endWith(loginID, func() { s.close("the user has signed out") }))
	g.mu.Lock()
	g.sessions[s.id] = s
	g.mu.Unlock()
	// A child that ended meanwhile took the session with it already.
	if s.ctx.Err() != nil {
		s.ended()
	}
}

func (g *Gateway) allSessions() []*session {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*session, 0, len(g.sessions))
	for _, s := range g.sessions {
		all = append(all, s)
	}
	return all
}
