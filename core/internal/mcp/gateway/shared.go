package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentarea/agentarea/core"
)

const methodListen = "subscriptions/listen"

// shared is the one child of a server for all its modern clients.
type shared struct {
	g        *Gateway
	serverID string
	link     *link
	tools    toolHeaders

	ctx  context.Context //nolint:containedctx // the child's, which its end ends
	stop context.CancelFunc
	// ready closes when the child can be used, or err says why it can't.
	ready chan struct{}
	err   error

	mu    sync.Mutex
	users map[string]int
	used  time.Time
}

// sharedChild gives a server's, and starts it for the first that asks.
func (g *Gateway) sharedChild(ctx context.Context, c *caller) (*shared, error) {
	g.mu.Lock()
	s := g.shared[c.server.ID]
	if s == nil {
		s = &shared{g: g, serverID: c.server.ID, ready: make(chan struct{}), users: map[string]int{}, used: time.Now()}
		s.ctx, s.stop = context.WithCancel(g.ctx)
		g.shared[c.server.ID] = s
		g.work.Go(func() { s.start(c.server.Slug) }) //nolint:contextcheck // the child outlives the request that starts it
	}
	g.mu.Unlock()
	select {
	case <-s.ready:
		return s, s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// start dials the child. One that does not know the modern era gets a translator
// before it.
func (s *shared) start(slug string) {
	logger := s.g.logger.With("mcp_server", slug)
	ctx, cancel := context.WithTimeout(s.ctx, s.g.times.Start)
	defer cancel()
	err := s.dial(ctx, func(child Child) *link { return newLink(child, &s.g.times, logger) })
	if err != nil {
		s.err = err
		s.close()
	}
	close(s.ready)
}

func (s *shared) dial(ctx context.Context, newLink func(Child) *link) error {
	child, err := s.g.servers.Dial(ctx, s.serverID)
	if err != nil {
		return err
	}
	drop := s.attach(newLink(child))
	err = probe(ctx, s.link)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return &core.Error{Code: core.CodeUpstreamTimeout, Message: "The MCP server did not start in time", Err: err}
	}
	drop()
	_ = child.Close() // another one takes its place
	if child, err = s.g.dialForModern(ctx, s.serverID); err != nil {
		return err
	}
	s.attach(newLink(child))
	return nil
}

// attach makes a link the child's, whose end is that of all unless it is dropped.
func (s *shared) attach(l *link) (drop func()) {
	var dropped atomic.Bool
	s.link = l
	l.tokens = true
	l.heard = s.route
	l.gone = func() {
		if !dropped.Load() {
			s.close()
		}
	}
	s.g.work.Go(func() { l.run(s.ctx) })
	return func() { dropped.Store(true) }
}

// close ends the child. The next client gets a new one.
func (s *shared) close() {
	s.g.mu.Lock()
	if s.g.shared[s.serverID] == s {
		delete(s.g.shared, s.serverID)
	}
	s.g.mu.Unlock()
	s.stop()
}

func (g *Gateway) allShared() []*shared {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*shared, 0, len(g.shared))
	for _, s := range g.shared {
		all = append(all, s)
	}
	return all
}

// enter counts a call of a user's, unless there are too many.
func (s *shared) enter(userID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users[userID] >= s.g.limits.Calls {
		return &core.Error{Code: core.CodeRateLimited, RetryAfter: time.Second, Message: "Too many requests to this MCP server are under way"}
	}
	s.users[userID]++
	return nil
}

func (s *shared) leave(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = time.Now()
	if s.users[userID]--; s.users[userID] == 0 {
		delete(s.users, userID)
	}
}

// idleFor says for how long there was no call.
func (s *shared) idleFor(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.users) > 0 {
		return 0
	}
	return since(s.used, now)
}

var errAsks = errors.New("this revision of MCP has no requests from the server")

// route finds the call for what the child sends on its own.
func (s *shared) route(m *message) {
	if m.isRequest() {
		s.link.tell(s.ctx, (&rpcError{Code: codeMethodNotFound, Message: errAsks.Error()}).answer(m.id))
		return
	}
	if m.method == "notifications/tools/list_changed" {
		s.tools.forget()
	}
	if subscription := get(m.params, "_meta", metaSubscription); subscription != nil {
		if c := s.named(subscription); c != nil {
			c.out.put(replace(m.raw, c.clientID, "params", "_meta", metaSubscription))
		}
		return
	}
	if m.method == "notifications/progress" {
		if c := s.named(get(m.params, "progressToken")); c != nil && c.token != nil {
			c.out.put(replace(m.raw, c.token, "params", "progressToken"))
		}
		return
	}
	if c, n := s.link.find(func(c *call) bool { return c.logs }); n == 1 {
		c.out.put(m.raw)
	}
}

// named gives the call of the link's own id.
func (s *shared) named(id []byte) *call {
	number := string(id)
	if t := text(id); t != "" {
		number = t
	}
	c, _ := s.link.find(func(c *call) bool { return string(fmtInt(c.id)) == number })
	return c
}
