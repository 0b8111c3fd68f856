package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdkmcp "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// serverSide is the server's side of a connection as a go-sdk transport.
type serverSide struct{ *fakeConn }

func (f serverSide) Connect(context.Context) (sdkmcp.Connection, error) { return f, nil }
func (serverSide) SessionID() string                                    { return "" }

func (f serverSide) Read(ctx context.Context) (jsonrpc.Message, error) {
	select {
	case data := <-f.in:
		return jsonrpc.DecodeMessage(data)
	case <-f.done:
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f serverSide) Write(_ context.Context, m jsonrpc.Message) error {
	data, err := jsonrpc.EncodeMessage(m)
	if err != nil {
		return err
	}
	f.message(string(data))
	return nil
}

func (f serverSide) Close() error { return nil }

// legacyServerSide supports only the old protocol revisions.
type legacyServerSide struct{ serverSide }

func (o legacyServerSide) Connect(context.Context) (sdkmcp.Connection, error) { return o, nil }
func (legacyServerSide) SupportsProtocolVersion(v string) bool                { return v < "2026" }

// legacy and modern serve each connection with a go-sdk server.
func legacy(build func(*fakeConn) *sdkmcp.Server) func(mcptransport.Open) (mcptransport.Conn, error) {
	return func(mcptransport.Open) (mcptransport.Conn, error) {
		c := newFakeConn()
		server := build(c)
		// Legacy servers do not know server/discover.
		server.AddReceivingMiddleware(func(next sdkmcp.MethodHandler) sdkmcp.MethodHandler {
			return func(ctx context.Context, method string, r sdkmcp.Request) (sdkmcp.Result, error) {
				if method == "server/discover" {
					return nil, &jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound, Message: "method not found"}
				}
				return next(ctx, method, r)
			}
		})
		go func() { _ = server.Run(context.Background(), legacyServerSide{serverSide{c}}) }()
		return c, nil
	}
}

func modern(build func(*fakeConn) *sdkmcp.Server) func(mcptransport.Open) (mcptransport.Conn, error) {
	return func(mcptransport.Open) (mcptransport.Conn, error) {
		c := newFakeConn()
		server := build(c)
		go func() { _ = server.Run(context.Background(), serverSide{c}) }()
		return c, nil
	}
}

func newServer() *sdkmcp.Server {
	return sdkmcp.NewServer(&sdkmcp.Implementation{Name: "peer", Version: "1.2.3"}, &sdkmcp.ServerOptions{
		Capabilities: &sdkmcp.ServerCapabilities{Tools: &sdkmcp.ToolCapabilities{ListChanged: true}},
	})
}

// addTool adds a tool that accepts any arguments.
func addTool(
	s *sdkmcp.Server, t *sdkmcp.Tool, f func(context.Context, *sdkmcp.CallToolRequest) (*sdkmcp.CallToolResult, error),
) {
	t.InputSchema = map[string]any{"type": "object"}
	s.AddTool(t, f)
}

func text(s string) *sdkmcp.CallToolResult {
	return &sdkmcp.CallToolResult{Content: []sdkmcp.Content{&sdkmcp.TextContent{Text: s}}}
}

// echo returns a server with one tool, which returns its arguments.
func echo(*fakeConn) *sdkmcp.Server {
	s := newServer()
	addTool(s, &sdkmcp.Tool{Name: "echo", Description: "Says it again"},
		func(_ context.Context, r *sdkmcp.CallToolRequest) (*sdkmcp.CallToolResult, error) {
			return text(string(r.Params.Arguments)), nil
		})
	return s
}

// scripted serves each connection by calling each with one message after the other.
func scripted(each func(c *fakeConn, method string, id json.RawMessage)) func(mcptransport.Open) (
	mcptransport.Conn, error,
) {
	return func(mcptransport.Open) (mcptransport.Conn, error) {
		c := newFakeConn()
		go func() {
			for {
				select {
				case data := <-c.in:
					var m struct {
						ID     json.RawMessage `json:"id"`
						Method string          `json:"method"`
					}
					if json.Unmarshal(data, &m) == nil {
						each(c, m.Method, m.ID)
					}
				case <-c.done:
					return
				}
			}
		}()
		return c, nil
	}
}

// handshake answers the messages of a legacy handshake. It reports whether m was one.
func handshake(c *fakeConn, method string, id json.RawMessage) bool {
	switch {
	case method == "server/discover":
		c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"method not found"}}`, id))
	case method == "initialize":
		c.message(
			fmt.Sprintf(
				`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"scripted","version":"1"}}}`, id,
			),
		)
	default:
		return strings.HasPrefix(method, "notifications/")
	}
	return true
}
