package mcp

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// endpoint is the transport and config of a server. It contains the secrets in clear text.
type endpoint struct {
	slug, transport string
	// owner is the ID of the user who created the server.
	owner    string
	config   core.MCPConfig
	redactor *redactor
	// audience is the ID of the user who receives notifications; empty for all users.
	audience string
}

func (t *endpoint) same(other *endpoint) bool {
	return t != nil && other != nil && t.transport == other.transport && bytes.Equal(t.config.JSON(), other.config.JSON())
}

// storedConfig returns the config of a stored server with its secrets.
func (s *Servers) storedConfig(stored *core.MCPServer) (core.MCPConfig, error) {
	secrets, err := s.decryptSecrets(stored)
	if err != nil {
		return core.MCPConfig{}, err
	}
	masked, err := core.ParseMCPConfig(stored.Config)
	if err != nil {
		return core.MCPConfig{}, err
	}
	return masked.Merge(secrets, true)
}

// endpoint returns the endpoint of a stored server.
func (s *Servers) endpoint(stored *core.MCPServer) (*endpoint, error) {
	config, err := s.storedConfig(stored)
	if err != nil {
		return nil, err
	}
	t := &endpoint{
		slug: stored.Slug, transport: stored.Transport, owner: stored.CreatedBy, config: config,
		redactor: newRedactor(config.Secrets),
	}
	if !stored.Shared {
		t.audience = stored.CreatedBy
	}
	return t, nil
}

// notify sends a notification to the users who may use the server.
func (g *generation) notify(level core.Level, event string) {
	if n := g.server.servers.Notifier; n != nil {
		n.Notify(level, g.endpoint.audience, fmt.Sprintf("MCP server %q %s", g.endpoint.slug, event))
	}
}

// reserve reserves one more connection in the generation, and makes the generation's end
// wait for it. dialed connections, as opposed to the main one, are limited.
func (g *generation) reserve(dialed bool) error {
	s := g.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.ended || g.ctx.Err() != nil {
		return notRunning(g.endpoint.slug, s.state)
	}
	if dialed {
		if g.dialed >= s.servers.Limits.Connections {
			e := core.Unavailable("MCP server %q has %s, which is the maximum. Close one or try again later.",
				g.endpoint.slug, core.Count(g.dialed, "open connection"))
			e.RetryAfter = 10 * time.Second
			return e
		}
		g.dialed++
	}
	g.openConns.Add(1)
	return nil
}

// release removes a connection that has ended or failed to open.
func (g *generation) release(c *connection, dialed bool) {
	g.server.mu.Lock()
	delete(g.connections, c)
	if dialed {
		g.dialed--
	}
	g.server.mu.Unlock()
	g.openConns.Done()
}

// open opens a connection. It ends with the generation at the latest.
func (g *generation) open(ctx context.Context, dialed bool) (*connection, error) {
	if err := g.reserve(dialed); err != nil {
		return nil, err
	}
	conn, err := g.connect(ctx)
	if err != nil {
		g.release(nil, dialed)
		return nil, err
	}
	s := g.server
	c := startConnection(conn, g.endpoint, s.log, s.servers.Times.Stop) //nolint:contextcheck // it outlives ctx
	s.mu.Lock()
	ended := g.ended
	if g.connections == nil {
		g.connections = map[*connection]struct{}{}
	}
	g.connections[c] = struct{}{}
	s.mu.Unlock()
	if ended {
		c.close("the MCP server was stopped")
	}
	go func() {
		<-c.done
		g.release(c, dialed)
	}()
	return c, nil
}

// connect opens the connection. It ends with ctx, the generation, or after Times.Start.
func (g *generation) connect(ctx context.Context) (mcptransport.Conn, error) {
	of := g.server.servers
	ctx, cancel := context.WithTimeout(ctx, of.Times.Start)
	defer cancel()
	defer context.AfterFunc(g.ctx, cancel)() //nolint:contextcheck // both contexts count
	transport, err := of.Transports.MCPTransport(ctx, g.endpoint.transport)
	if err != nil {
		return nil, err
	}
	// Checked after the start of the plugin, because a plugin has no capabilities before it.
	if err := of.allowed(ctx, g.endpoint); err != nil {
		return nil, err
	}
	return transport.Connect(ctx, mcptransport.Open{Slug: g.endpoint.slug, Config: g.endpoint.config.JSON()})
}

// allowed checks the command of a server against the current allow-list, and whether its creator may use the transport.
func (s *Servers) allowed(ctx context.Context, t *endpoint) error {
	if s.process(t.transport) {
		return s.checkCommand(t.config)
	}
	usable, err := s.usableBy(ctx, t.transport, t.owner)
	if err == nil && !usable {
		err = core.Unavailable("%s The creator of this MCP server is not an admin. Change its transport.",
			adminsOnly(t.transport))
	}
	return err
}

// checkCommand checks the command of a config against the allow-list.
func (s *Servers) checkCommand(config core.MCPConfig) error {
	if len(s.Commands) == 0 {
		return nil
	}
	command, err := config.Command()
	if err != nil {
		return err
	}
	if !slices.Contains(s.Commands, command) {
		return core.Invalid("config.command", "Command %q is not allowed. AGENTAREA_MCP_COMMANDS allows: %s.",
			command, strings.Join(s.Commands, ", "))
	}
	return nil
}

// notRunning returns the error for a server that cannot be used.
func notRunning(slug string, state core.MCPState) *core.Error {
	switch {
	case state.Status == core.MCPStarting:
		e := core.Unavailable("MCP server %q is starting. Try again shortly.", slug)
		e.RetryAfter = time.Second
		return e
	case state.LastError != "":
		return core.Unavailable("MCP server %q is not running, because it failed. %s", slug, seeLog)
	}
	return core.Unavailable("MCP server %q is not running. Its status is %s.", slug, state.Status)
}
