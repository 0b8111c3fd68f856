// Command mcp-open is a transport of a third party: it neither runs programs nor declares that it guards the server's
// network. Each of its connections leads to an MCP server with the tool greet.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

func main() {
	mcptransport.Serve(sdk.Info{Name: "mcp-open", Version: "0.1.0", Description: "Connects to everything."}, transport{})
}

type transport struct{}

// CheckConfig implements mcptransport.Transport.
func (transport) CheckConfig(context.Context, json.RawMessage) error { return nil }

// Connect implements mcptransport.Transport.
func (transport) Connect(context.Context, mcptransport.Open) (mcptransport.Conn, error) {
	return &conn{answers: make(chan []byte, 16), closed: make(chan struct{})}, nil
}

type conn struct {
	answers chan []byte
	once    sync.Once
	closed  chan struct{}
}

// Info implements mcptransport.Conn.
func (*conn) Info() mcptransport.Info { return mcptransport.Info{} }

var results = map[string]string{
	"initialize": `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"open","version":"1"}}`,
	"tools/list": `{"tools":[{"name":"greet","inputSchema":{"type":"object"}}]}`,
	"tools/call": `{"content":[{"type":"text","text":"Hello"}]}`,
	"ping":       `{}`,
}

// Send implements mcptransport.Conn. It answers requests.
func (c *conn) Send(_ context.Context, message []byte) error {
	var m struct {
		ID     json.RawMessage
		Method string
	}
	if err := json.Unmarshal(message, &m); err != nil || m.ID == nil {
		return err
	}
	answer := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"method not found"}}`, m.ID)
	if result, ok := results[m.Method]; ok {
		answer = fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":%s}`, m.ID, result)
	}
	select {
	case c.answers <- answer:
	case <-c.closed:
	}
	return nil
}

// Receive implements mcptransport.Conn.
func (c *conn) Receive(ctx context.Context) (mcptransport.Frame, error) {
	select {
	case m := <-c.answers:
		return mcptransport.Frame{Message: m}, nil
	case <-c.closed:
	case <-ctx.Done():
	}
	return mcptransport.Frame{}, &mcptransport.Exit{Message: "closed"}
}

// Close implements mcptransport.Conn.
func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}
