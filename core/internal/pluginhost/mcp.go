package pluginhost

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// MCPTransport returns the mcp plugin with the given label. It waits and fails as Agent
// does. The transport can be used after a reload: each connection uses the plugin that is
// current when it is opened, and ends with that plugin's process.
func (h *Host) MCPTransport(ctx context.Context, label string) (mcptransport.Transport, error) {
	find := func(r *registry) (*supervisor, error) { return r.transport(label) }
	if err := h.check(ctx, find); err != nil {
		return nil, err
	}
	return &transport{host: h, find: find}, nil
}

// MCPTransportCapabilities returns the capabilities of the mcp plugin with the given label. started is false if there
// is no enabled plugin with that label, or if it has not started yet. The caller must not change the result.
func (h *Host) MCPTransportCapabilities(label string) (capabilities []string, started bool) {
	s := findLabel(h.registry.Load().transports, label)
	if s == nil {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.description.Capabilities, s.description.Kind != ""
}

// transport returns the enabled mcp plugin with the given label. If there is none, it returns an
// error with the reason.
func (r *registry) transport(label string) (*supervisor, error) {
	if s := findLabel(r.transports, label); s != nil {
		return s, nil
	}
	for _, s := range r.plugins {
		if s.block.Kind == mcptransport.Kind && s.block.Label == label {
			return nil, s.unavailable()
		}
	}
	return nil, core.Unavailable("MCP transport plugin %q is not in plugins.hcl. Available transports: %s. Add its "+
		"block and reload plugins, or change the server's transport.",
		label, joined(labels(r.transports)))
}

type transport struct {
	host *Host
	find lookup
}

// CheckConfig implements mcptransport.Transport.
func (t *transport) CheckConfig(ctx context.Context, config json.RawMessage) error {
	i, err := t.host.begin(ctx, t.find)
	if err != nil {
		return err
	}
	defer i.end()
	return callWithoutResult(ctx, i, i.timing.Call,
		func(ctx context.Context) error { return i.transport.CheckConfig(ctx, config) })
}

// Connect implements mcptransport.Transport. The connection counts as an active call until
// Receive has returned its Exit.
func (t *transport) Connect(ctx context.Context, o mcptransport.Open) (mcptransport.Conn, error) {
	i, err := t.host.begin(ctx, t.find)
	if err != nil {
		return nil, err
	}
	c, err := call(ctx, i, i.timing.Connect,
		func(ctx context.Context) (mcptransport.Conn, error) { return i.transport.Connect(ctx, o) })
	if err != nil {
		defer i.end()
		return nil, err
	}
	return &connection{Conn: c, inst: i}, nil
}

// connection adds details to the error of a crash of its plugin.
type connection struct {
	mcptransport.Conn
	inst  *instance
	ended sync.Once
	exit  error
}

// Send implements mcptransport.Conn. It closes the connection if the plugin does not accept the message in time.
func (c *connection) Send(ctx context.Context, message []byte) error {
	late := time.AfterFunc(c.inst.timing.Call, func() {
		c.inst.logger.ErrorContext(ctx, "plugin did not accept a message for an MCP server", "limit", c.inst.timing.Call)
		_ = c.Close() // Send returns when the connection has ended
	})
	defer late.Stop()
	return c.Conn.Send(ctx, message)
}

// Receive implements mcptransport.Conn.
func (c *connection) Receive(ctx context.Context) (mcptransport.Frame, error) {
	frame, err := c.Conn.Receive(ctx)
	if err == nil {
		return frame, nil
	}
	c.ended.Do(func() {
		defer c.inst.end()
		c.exit = err
		var e *mcptransport.Exit
		if errors.As(err, &e) && e.Err != nil {
			annotated := c.inst.callError(ctx, e.Err)
			c.exit = &mcptransport.Exit{Code: e.Code, Message: sdk.AsError(annotated).Message, Err: annotated}
		}
	})
	return frame, c.exit
}
