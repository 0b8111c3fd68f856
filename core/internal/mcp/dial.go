package mcp

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/core"
)

// Connection is a connection to an MCP server. It carries complete JSON-RPC messages.
type Connection interface {
	// Send sends one message, which must not contain line breaks. It is safe for concurrent
	// use.
	Send(ctx context.Context, message []byte) error
	// Receive returns the next message. After the end of the connection it fails with
	// Unavailable and the reason of the end. Only one goroutine may call it.
	Receive(ctx context.Context) ([]byte, error)
	// Close starts closing the connection and releases its resources. It may be called
	// at any time and more than once.
	Close() error
}

// Find returns the server with the given slug that the actor can use. It fails with NotFound, or with Forbidden for a
// transport that only admins may use. It fails with Unavailable for a server that should not run, or that has failed
// and has no open connections.
func (s *Servers) Find(ctx context.Context, actor core.Actor, slug string) (*core.MCPServer, error) {
	stored, err := s.Store.MCPServerBySlug(ctx, actor, slug)
	if err != nil {
		return nil, err
	}
	if err := s.checkActor(actor, stored.Transport); err != nil {
		return nil, err
	}
	if err := s.checkState(stored.ID, slug); err != nil {
		return nil, err
	}
	if err := s.checkStarted(ctx, actor, stored.Transport); err != nil {
		return nil, err
	}
	return stored, nil
}

// checkState fails with Unavailable unless connections to the server can be opened or are open.
func (s *Servers) checkState(id, slug string) error {
	known := s.server(id, false)
	if known == nil {
		return notRunning(slug, core.MCPState{Status: core.MCPStopped})
	}
	known.mu.Lock()
	defer known.mu.Unlock()
	switch known.state.Status {
	case core.MCPStarting, core.MCPRunning:
		return nil
	case core.MCPError:
		if known.generation != nil && known.generation.dialed > 0 {
			return nil // its open connections remain usable
		}
	case core.MCPStopped, core.MCPStopping:
	}
	return notRunning(slug, known.state)
}

// Dial opens a separate connection to a server; ctx limits only the opening. The connection
// ends when the server is stopped, restarted, changed or deleted. Dial waits briefly for a
// server that is starting. It fails with Unavailable if the server is not running, cannot
// be reached or has too many connections.
func (s *Servers) Dial(ctx context.Context, id string) (Connection, error) {
	l, err := s.session(ctx, id)
	if err != nil {
		return nil, err
	}
	t := l.generation
	c, err := t.open(ctx, true)
	if err == nil {
		return dialed{c}, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if t.ctx.Err() != nil {
		return nil, notRunning(t.endpoint.slug, core.MCPState{Status: core.MCPStopping})
	}
	var public *core.Error
	if errors.As(err, &public) && public.Code == core.CodeUnavailable {
		return nil, err
	}
	return nil, &core.Error{
		Code: core.CodeUnavailable, Err: errors.New(t.endpoint.redactor.redactAll(err.Error())),
		Message: "MCP server " + strconv.Quote(t.endpoint.slug) + " failed to start. " + seeLog,
	}
}

// Session returns the session on a server's main connection. It waits and fails as Dial does.
func (s *Servers) Session(ctx context.Context, id string) (*mcp.ClientSession, error) {
	l, err := s.session(ctx, id)
	if err != nil {
		return nil, err
	}
	return l.client, nil
}

// session returns the session of a server. It waits briefly for a server that is
// starting, and fails with Unavailable.
func (s *Servers) session(ctx context.Context, id string) (*session, error) {
	known := s.server(id, false)
	if known == nil {
		return nil, core.Unavailable("The MCP server is not running. Start it first.")
	}
	timeout := time.NewTimer(s.Times.Wait)
	defer timeout.Stop()
	for {
		l, state, changed := known.serving()
		if l != nil {
			return l, nil
		}
		if state.Status == core.MCPStarting || state.Status == core.MCPStopping && known.isDesired() {
			select {
			case <-changed:
				continue
			case <-timeout.C:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return nil, notRunning(known.slug(), state)
	}
}

// serving returns the running session. If there is none, it returns the state and a
// channel that is closed when the state changes.
func (s *server) serving() (*session, core.MCPState, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session != nil && s.generation != nil && s.generation.ctx.Err() == nil {
		return s.session, s.state, nil
	}
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return nil, s.state, s.changed
}

// isDesired reports whether the server should run.
func (s *server) isDesired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.desired != nil
}

// slug returns the server's slug for messages.
func (s *server) slug() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.desired != nil:
		return s.desired.slug
	case s.generation != nil:
		return s.generation.endpoint.slug
	}
	return s.id
}

// dialed implements Connection.
type dialed struct{ conn *connection }

// Send implements Connection.
func (d dialed) Send(ctx context.Context, message []byte) error {
	if d.conn.ended() {
		return d.exitError()
	}
	err := d.conn.raw.Send(ctx, message)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case d.conn.ended():
		return d.exitError()
	}
	return d.conn.unavailable("did not accept the message.", d.conn.endpoint.redactor.redact(publicMessage(err)))
}

// Receive implements Connection.
func (d dialed) Receive(ctx context.Context) ([]byte, error) {
	message, err := d.conn.inbox.get(ctx)
	if message != nil || err != nil {
		return message, err
	}
	return nil, d.exitError()
}

// exitError returns the error for a connection that has ended.
func (d dialed) exitError() error { return d.conn.exitError() }

// Close implements Connection.
func (d dialed) Close() error {
	d.conn.close("the connection was closed")
	return nil
}
