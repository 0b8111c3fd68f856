package pluginhost

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// MCPTransport gives the mcp plugin of that label. It waits and fails as Agent
// does. The transport outlives reloads: each connection is made by the plugin that
// is there then, and ends with that one's process.
func (h *Host) MCPTransport(ctx context.Context, label string) (mcptransport.Transport, error) {
	look := func(r *registry) (*supervisor, error) { return r.transport(label) }
	if err := h.check(ctx, look); err != nil {
		return nil, err
	}
	return &transport{host: h, look: look}, nil
}

// transport gives the enabled mcp stanza of that label, or an error that says why
// there is none.
func (r *registry) transport(label string) (*supervisor, error) {
	if s := labelled(r.transports, label); s != nil {
		return s, nil
	}
	for _, s := range r.plugins {
		if s.stanza.Kind == mcptransport.Kind && s.stanza.Label == label {
			return nil, s.unavailable()
		}
	}
	return nil, core.Unavailable("There is no mcp plugin %q in plugins.hcl (%s): add its stanza and reload, or change the server's transport",
		label, listed(labels(r.transports)))
}

type transport struct {
	host *Host
	look find
}

// CheckConfig implements mcptransport.Transport.
func (t *transport) CheckConfig(ctx context.Context, config json.RawMessage) error {
	i, err := t.host.begin(ctx, t.look)
	if err != nil {
		return err
	}
	defer i.end()
	return i.judge(ctx, i.transport.CheckConfig(ctx, config))
}

// Connect implements mcptransport.Transport. The connection is under way until
// Receive has given its Exit.
func (t *transport) Connect(ctx context.Context, o mcptransport.Open) (mcptransport.Conn, error) {
	i, err := t.host.begin(ctx, t.look)
	if err != nil {
		return nil, err
	}
	c, err := i.transport.Connect(ctx, o)
	if err != nil {
		defer i.end()
		return nil, i.judge(ctx, err)
	}
	return &connection{Conn: c, of: i}, nil
}

// connection tells of its plugin's crash what can be told.
type connection struct {
	mcptransport.Conn
	of    *instance
	ended sync.Once
	exit  error
}

// Receive implements mcptransport.Conn.
func (c *connection) Receive(ctx context.Context) (mcptransport.Frame, error) {
	frame, err := c.Conn.Receive(ctx)
	if err == nil {
		return frame, nil
	}
	c.ended.Do(func() {
		defer c.of.end()
		c.exit = err
		var e *mcptransport.Exit
		if errors.As(err, &e) && e.Err != nil {
			judged := c.of.judge(ctx, e.Err)
			c.exit = &mcptransport.Exit{Code: e.Code, Message: sdk.AsError(judged).Message, Err: judged}
		}
	})
	return frame, c.exit
}
