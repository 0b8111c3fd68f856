package mcp

import (
	"context"
	"errors"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/core"
)

// Child is a connection to an MCP server. It carries whole JSON-RPC messages.
type Child interface {
	// Send sends one message, without line breaks between its tokens. It may be
	// called by several goroutines at once.
	Send(ctx context.Context, message []byte) error
	// Receive gives the next message, or from its end on an Unavailable that says
	// why it has ended. One goroutine calls it.
	Receive(ctx context.Context) ([]byte, error)
	// Close begins the end of the connection and of all that belongs to it. It may
	// be called at any time, and again.
	Close() error
}

// Find gives the server that a viewer means by a slug. It fails with NotFound, or
// with Unavailable for one that is not to run, or that has failed and has no
// connection left.
func (s *Servers) Find(ctx context.Context, v core.Actor, slug string) (*core.MCPServer, error) {
	stored, err := s.Store.MCPServerBySlug(ctx, v, slug)
	if err != nil {
		return nil, err
	}
	known := s.server(stored.ID, false)
	if known == nil {
		return nil, notRunning(slug, core.MCPState{Status: core.MCPStopped})
	}
	known.mu.Lock()
	defer known.mu.Unlock()
	switch known.state.Status {
	case core.MCPStarting, core.MCPRunning:
		return stored, nil
	case core.MCPError:
		if known.term != nil && known.term.dialled > 0 {
			return stored, nil // what is under way there goes on
		}
	case core.MCPStopped, core.MCPStopping:
	}
	return nil, notRunning(slug, known.state)
}

// Dial opens a connection of its own to a server; ctx is for the opening only. It
// ends when the server is stopped, restarted, changed or deleted. Dial waits a
// little while the server is being started, and fails with Unavailable for one
// that does not run, that can't be reached, or that has too many connections.
func (s *Servers) Dial(ctx context.Context, id string) (Child, error) {
	l, err := s.life(ctx, id)
	if err != nil {
		return nil, err
	}
	t := l.term
	c, err := t.open(ctx, true)
	if err == nil {
		return dialled{c}, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if t.ctx.Err() != nil {
		return nil, notRunning(t.target.slug, core.MCPState{Status: core.MCPStopping})
	}
	var shown *core.Error
	if errors.As(err, &shown) && shown.Code == core.CodeUnavailable {
		return nil, err
	}
	return nil, &core.Error{
		Code: core.CodeUnavailable, Err: errors.New(t.target.redact.text(err.Error())),
		Message: "The MCP server " + t.target.slug + " did not start: " + t.target.redact.told(publicText(err)),
	}
}

// Session gives the session of a server's main child. It waits and fails as Dial.
func (s *Servers) Session(ctx context.Context, id string) (*mcp.ClientSession, error) {
	l, err := s.life(ctx, id)
	if err != nil {
		return nil, err
	}
	return l.session, nil
}

// life gives that of a server's main child. It waits a little while it is being
// started, and fails with Unavailable.
func (s *Servers) life(ctx context.Context, id string) (*life, error) {
	known := s.server(id, false)
	if known == nil {
		return nil, core.Unavailable("The MCP server does not run: start it")
	}
	patience := time.NewTimer(s.Times.Patience)
	defer patience.Stop()
	for {
		l, state, changed := known.serving()
		if l != nil {
			return l, nil
		}
		if state.Status == core.MCPStarting || state.Status == core.MCPStopping && known.wanted() {
			select {
			case <-changed:
				continue
			case <-patience.C:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return nil, notRunning(known.slug(), state)
	}
}

// serving gives the life that serves; without one, its state and what is closed
// when that changes.
func (s *server) serving() (*life, core.MCPState, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life != nil && s.term != nil && s.term.ctx.Err() == nil {
		return s.life, s.state, nil
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return nil, s.state, s.changed
}

func (s *server) wanted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.desired != nil
}

// slug is for messages.
func (s *server) slug() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.desired != nil:
		return s.desired.slug
	case s.term != nil:
		return s.term.target.slug
	}
	return s.id
}

// dialled is a child as its user sees it.
type dialled struct{ child *child }

// Send implements Child.
func (d dialled) Send(ctx context.Context, message []byte) error {
	if d.child.ended() {
		return d.over()
	}
	err := d.child.conn.Send(ctx, message)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case d.child.ended():
		return d.over()
	}
	return core.Unavailable("The MCP server %q took no message: %s", d.child.target.slug, d.child.target.redact.told(publicText(err)))
}

// Receive implements Child.
func (d dialled) Receive(ctx context.Context) ([]byte, error) {
	message, err := d.child.inbox.get(ctx)
	if message != nil || err != nil {
		return message, err
	}
	return nil, d.over()
}

func (d dialled) over() error {
	return core.Unavailable("The MCP server %q has ended: %s", d.child.target.slug, d.child.reason())
}

// Close implements Child.
func (d dialled) Close() error {
	d.child.close("the connection was closed")
	return nil
}
