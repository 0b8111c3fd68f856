package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentarea/agentarea/core"
)

// methodListen is the method with which a modern client subscribes to notifications.
const methodListen = "subscriptions/listen"

// sharedUpstream is the one upstream of a server for all its modern clients.
type sharedUpstream struct {
	g        *Gateway
	serverID string
	upstream *upstream
	tools    toolHeaders

	ctx  context.Context //nolint:containedctx // it ends with the connection
	stop context.CancelFunc
	// ready is closed when the upstream is usable or has failed to start. In the latter case
	// err is set before.
	ready chan struct{}
	err   error

	mu sync.Mutex
	// calls is the number of calls in progress by user ID. lastUsed is the time at which the last one
	// ended.
	calls    map[string]int
	lastUsed time.Time
}

// sharedUpstream returns the shared upstream of the server. The first request starts it. It
// waits until the upstream is usable.
func (g *Gateway) sharedUpstream(ctx context.Context, c *caller) (*sharedUpstream, error) {
	g.mu.Lock()
	s := g.shared[c.server.ID]
	if s == nil {
		s = &sharedUpstream{
			g: g, serverID: c.server.ID, ready: make(chan struct{}),
			calls: map[string]int{}, lastUsed: time.Now(),
		}
		s.ctx, s.stop = context.WithCancel(g.ctx)
		g.shared[c.server.ID] = s
		g.work.Go(func() { s.start(c.server.Slug) }) //nolint:contextcheck // the upstream outlives the request that starts it
	}
	g.mu.Unlock()
	select {
	case <-s.ready:
		return s, s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// start connects the upstream and closes ready.
func (s *sharedUpstream) start(slug string) {
	logger := s.g.logger.With("mcp_server", slug)
	ctx, cancel := context.WithTimeout(s.ctx, s.g.times.Start)
	defer cancel()
	err := s.dial(ctx, func(conn Conn) *upstream { return newUpstream(conn, &s.g.times, logger) })
	if err != nil {
		s.err = err
		s.close()
	}
	close(s.ready)
}

// dial opens the connection. It puts a translator in front of a server that supports no modern
// revision.
func (s *sharedUpstream) dial(ctx context.Context, newUpstream func(Conn) *upstream) error {
	conn, err := s.g.servers.Dial(ctx, s.serverID)
	if err != nil {
		return err
	}
	drop := s.attach(newUpstream(conn))
	err = probe(ctx, s.upstream)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return &core.Error{Code: core.CodeUpstreamTimeout, Message: "The MCP server did not start in time", Err: err}
	}
	drop()
	_ = conn.Close() // a new connection replaces it
	if conn, err = s.g.dialForModern(ctx, s.serverID); err != nil {
		return err
	}
	s.attach(newUpstream(conn))
	return nil
}

// attach starts to use an upstream. When its connection closes, s closes too, unless drop was
// called before.
func (s *sharedUpstream) attach(u *upstream) (drop func()) {
	var dropped atomic.Bool
	s.upstream = u
	u.replaceTokens = true
	u.onMessage = s.onServerMessage
	u.onClose = func() {
		if !dropped.Load() {
			s.close()
		}
	}
	s.g.work.Go(func() { u.run(s.ctx) })
	return func() { dropped.Store(true) }
}

// close closes the connection. The next request opens a new one.
func (s *sharedUpstream) close() {
	s.g.mu.Lock()
	if s.g.shared[s.serverID] == s {
		delete(s.g.shared, s.serverID)
	}
	s.g.mu.Unlock()
	s.stop()
}

// allShared returns a copy of the list of shared upstreams.
func (g *Gateway) allShared() []*sharedUpstream {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*sharedUpstream, 0, len(g.shared))
	for _, s := range g.shared {
		all = append(all, s)
	}
	return all
}

// beginCall counts a call of the user. It fails with CodeRateLimited when the user has too many
// calls in progress. The caller calls endCall afterwards.
func (s *sharedUpstream) beginCall(userID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls[userID] >= s.g.limits.Calls {
		return &core.Error{
			Code: core.CodeRateLimited, RetryAfter: time.Second,
			Message: "Too many requests to this MCP server are in progress. Wait for a response first.",
		}
	}
	s.calls[userID]++
	return nil
}

// endCall undoes beginCall and restarts the idle time.
func (s *sharedUpstream) endCall(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastUsed = time.Now()
	if s.calls[userID]--; s.calls[userID] == 0 {
		delete(s.calls, userID)
	}
}

// idleFor returns the time since the last call of the upstream.
func (s *sharedUpstream) idleFor(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) > 0 {
		return 0
	}
	return elapsed(s.lastUsed, now)
}

// errServerRequest is the answer to requests of a modern server.
var errServerRequest = errors.New("requests from the server are not supported in this protocol revision")

// onServerMessage passes a notification of the server to the call or subscription that it
// names, with the IDs of the client. It rejects requests of the server.
func (s *sharedUpstream) onServerMessage(m *message) {
	if m.isRequest() {
		s.upstream.send(s.ctx, (&rpcError{Code: codeMethodNotFound, Message: errServerRequest.Error()}).response(m.id))
		return
	}
	if m.method == "notifications/tools/list_changed" {
		s.tools.invalidate()
	}
	if subscription := get(m.params, "_meta", metaSubscription); subscription != nil {
		if c := s.callByID(subscription); c != nil {
			c.out.add(replace(m.raw, c.clientID, "params", "_meta", metaSubscription))
		}
		return
	}
	if m.method == "notifications/progress" {
		if c := s.callByID(get(m.params, "progressToken")); c != nil && c.token != nil {
			c.out.add(replace(m.raw, c.token, "params", "progressToken"))
		}
		return
	}
	if c, n := s.upstream.find(func(c *call) bool { return c.logs }); n == 1 {
		c.out.add(m.raw)
	}
}

// callByID returns the call that has the ID at the upstream, or nil. The ID may be a JSON
// number or string.
func (s *sharedUpstream) callByID(id []byte) *call {
	number := string(id)
	if t := stringValue(id); t != "" {
		number = t
	}
	c, _ := s.upstream.find(func(c *call) bool { return string(formatInt(c.id)) == number })
	return c
}
