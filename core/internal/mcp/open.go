package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// target is how to reach a server, its secrets in clear.
type target struct {
	slug, transport string
	config          json.RawMessage
	redact          *redactor
	// audience is who is told of the server's state; empty for everybody.
	audience string
}

func (t *target) same(other *target) bool {
	return t != nil && other != nil && t.transport == other.transport && string(t.config) == string(other.config)
}

// target makes that of a stored server.
func (s *Servers) target(stored *core.MCPServer) (*target, error) {
	old, err := s.unseal(stored)
	if err != nil {
		return nil, err
	}
	c, err := readConfig(stored.Config, old)
	if err != nil {
		return nil, err
	}
	t := &target{
		slug: stored.Slug, transport: stored.Transport, config: c.plain(), redact: newRedactor(c.secrets),
	}
	if !stored.Shared {
		t.audience = stored.CreatedBy
	}
	return t, nil
}

// notify tells those who may use the server.
func (t *term) notify(level core.Level, news string) {
	if n := t.server.of.Notifier; n != nil {
		n.Notify(level, t.target.audience, fmt.Sprintf("MCP server %q %s", t.target.slug, news))
	}
}

// join lets one more child be opened in the term, and keeps the term's end waiting
// for it. dialled is one besides the main child: of those there are so many only.
func (t *term) join(dialled bool) error {
	s := t.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.over || t.ctx.Err() != nil {
		return notRunning(t.target.slug, s.state)
	}
	if dialled {
		if t.dialled >= s.of.Limits.Children {
			e := core.Unavailable("The MCP server %q has %d connections open, which is the most: close one or try later", t.target.slug, t.dialled)
			e.RetryAfter = 10 * time.Second
			return e
		}
		t.dialled++
	}
	t.living.Add(1)
	return nil
}

// leave takes a child out that has ended, or was not opened.
func (t *term) leave(c *child, dialled bool) {
	t.server.mu.Lock()
	delete(t.children, c)
	if dialled {
		t.dialled--
	}
	t.server.mu.Unlock()
	t.living.Done()
}

// open opens a child. It ends with the term at the latest.
func (t *term) open(ctx context.Context, dialled bool) (*child, error) {
	if err := t.join(dialled); err != nil {
		return nil, err
	}
	conn, err := t.connect(ctx)
	if err != nil {
		t.leave(nil, dialled)
		return nil, err
	}
	s := t.server
	c := startChild(conn, t.target, s.log, s.of.Times.Stop) //nolint:contextcheck // it outlives ctx
	s.mu.Lock()
	over := t.over
	if t.children == nil {
		t.children = map[*child]struct{}{}
	}
	t.children[c] = struct{}{}
	s.mu.Unlock()
	if over {
		c.close("the MCP server was stopped")
	}
	go func() {
		<-c.gone
		t.leave(c, dialled)
	}()
	return c, nil
}

// connect opens the connection, within ctx, the term and the time for a start.
func (t *term) connect(ctx context.Context) (mcptransport.Conn, error) {
	of := t.server.of
	if err := of.allowed(t.target); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, of.Times.Start)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)() //nolint:contextcheck // both contexts count
	transport, err := of.Transports.MCPTransport(ctx, t.target.transport)
	if err != nil {
		return nil, err
	}
	return transport.Connect(ctx, mcptransport.Open{Slug: t.target.slug, Config: t.target.config})
}

// allowed says whether a server may be run, by the list of commands as it is now.
func (s *Servers) allowed(t *target) error {
	if !s.process(t.transport) {
		return nil
	}
	return s.checkCommand(t.config)
}

// process says whether a transport runs programs on this machine.
func (s *Servers) process(label string) bool {
	return slices.ContainsFunc(s.Transports.Plugins(), func(p core.Plugin) bool {
		return p.Kind == mcptransport.Kind && p.Label == label && slices.Contains(p.Capabilities, mcptransport.CapabilityProcess)
	})
}

// checkCommand holds a config against the list of commands.
func (s *Servers) checkCommand(config json.RawMessage) error {
	if len(s.Commands) == 0 {
		return nil
	}
	var c struct {
		Command string `json:"command"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return core.Invalid("config.command", "Must be a string")
	}
	if !slices.Contains(s.Commands, c.Command) {
		return core.Invalid("config.command", "The command %q is not allowed here: AGENTAREA_MCP_COMMANDS allows %s",
			c.Command, strings.Join(s.Commands, ", "))
	}
	return nil
}

// notRunning is why a server can't be used.
func notRunning(slug string, state core.MCPState) *core.Error {
	switch {
	case state.Status == core.MCPStarting:
		e := core.Unavailable("The MCP server %q is starting: try again in a moment", slug)
		e.RetryAfter = time.Second
		return e
	case state.LastError != "":
		return core.Unavailable("The MCP server %q does not run: %s", slug, state.LastError)
	}
	return core.Unavailable("The MCP server %q does not run: it is %s", slug, state.Status)
}
