package gateway

import (
	"context"
	"errors"
	"io"
	"maps"
	"strconv"
	"strings"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/core"
)

// revisionKey returns the key of a server in Gateway.modernOnly. It includes the version
// because a changed server may support other revisions.
func revisionKey(s *core.MCPServer) string { return s.ID + " " + strconv.FormatInt(s.Version, 10) }

// isModernOnly reports whether the server is known to support modern revisions only.
func (g *Gateway) isModernOnly(s *core.MCPServer) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.modernOnly[revisionKey(s)]
}

// setModernOnly records that the server supports modern revisions only.
func (g *Gateway) setModernOnly(s *core.MCPServer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.modernOnly) > maxModernOnly {
		clear(g.modernOnly)
	}
	g.modernOnly[revisionKey(s)] = true
}

// maxModernOnly limits the size of Gateway.modernOnly.
const maxModernOnly = 1000

// dialForLegacy opens a connection for a legacy client to a server that supports modern
// revisions only.
func (g *Gateway) dialForLegacy(ctx context.Context, id string) (Conn, error) {
	return g.dialTranslated(ctx, id, "")
}

// dialForModern opens a connection for modern clients to a server that supports legacy
// revisions only. The server cannot send requests to the clients.
func (g *Gateway) dialForModern(ctx context.Context, id string) (Conn, error) {
	return g.dialTranslated(ctx, id, version202511)
}

// translator is a Conn that translates between legacy and modern revisions. A server of the Go
// SDK answers the client, and a client of the Go SDK calls the MCP server.
type translator struct {
	conn Conn
	// in carries messages from the client, and out carries messages to the client.
	in, out chan []byte
	closed  chan struct{}
	once    sync.Once

	server *mcp.ServerSession
	client *mcp.ClientSession

	mu sync.Mutex
	// results has the rawResult of each forwarded request that is not answered yet.
	results map[jsonrpc.ID]*rawResult
}

// dialTranslated opens a connection with a translator. version is the revision for the MCP
// server; "" means the newest.
func (g *Gateway) dialTranslated(ctx context.Context, id, version string) (Conn, error) {
	conn, err := g.servers.Dial(ctx, id)
	if err != nil {
		return nil, err
	}
	t := &translator{
		conn: conn, in: make(chan []byte), out: make(chan []byte), closed: make(chan struct{}),
		results: map[jsonrpc.ID]*rawResult{},
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "agentarea", Version: "1"}, t.clientOptions(version == ""))
	t.client, err = client.Connect(ctx, serverTransport{t}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		_ = t.Close()
		return nil, &core.Error{Code: core.CodeUpstream, Message: "The MCP server rejected the handshake", Err: err}
	}
	info := t.client.InitializeResult()
	name := info.ServerInfo
	if name == nil { // the SDK panics without a name
		name = &mcp.Implementation{Name: "unnamed server"}
	}
	server := mcp.NewServer(name, &mcp.ServerOptions{
		Instructions: info.Instructions, Capabilities: info.Capabilities,
		SubscribeHandler: func(ctx context.Context, r *mcp.SubscribeRequest) error {
			return t.client.Subscribe(ctx, r.Params)
		},
		UnsubscribeHandler: func(ctx context.Context, r *mcp.UnsubscribeRequest) error {
			return t.client.Unsubscribe(ctx, r.Params)
		},
	})
	server.AddReceivingMiddleware(t.forward)
	if t.server, err = server.Connect(context.WithoutCancel(ctx), clientTransport{t}, nil); err != nil {
		_ = t.Close()
		return nil, err
	}
	return t, nil
}

// clientOptions returns handlers that forward messages of the MCP server to the client.
// Requests are forwarded only if canAsk is true.
func (t *translator) clientOptions(canAsk bool) *mcp.ClientOptions {
	o := &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{},
		ProgressNotificationHandler: func(ctx context.Context, r *mcp.ProgressNotificationClientRequest) {
			_ = t.server.NotifyProgress(ctx, r.Params) // the client may have disconnected
		},
		LoggingMessageHandler: func(ctx context.Context, r *mcp.LoggingMessageRequest) { //nolint:staticcheck // deprecated for future revisions
			_ = t.server.Log(ctx, r.Params) //nolint:staticcheck // deprecated for future revisions; the client may have disconnected
		},
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) {
			t.notify("notifications/tools/list_changed")
		},
		PromptListChangedHandler: func(context.Context, *mcp.PromptListChangedRequest) {
			t.notify("notifications/prompts/list_changed")
		},
		ResourceListChangedHandler: func(context.Context, *mcp.ResourceListChangedRequest) {
			t.notify("notifications/resources/list_changed")
		},
	}
	if canAsk {
		o.ElicitationHandler = func(ctx context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return t.server.Elicit(ctx, r.Params)
		}
		o.CreateMessageHandler = func(ctx context.Context, r *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) { //nolint:staticcheck // deprecated for future revisions
			return t.server.CreateMessage(ctx, r.Params) //nolint:staticcheck // deprecated for future revisions
		}
	}
	return o
}

// notify sends a notification without parameters to the client.
func (t *translator) notify(method string) {
	m, err := notification(method, nil)
	if err != nil {
		return
	}
	select {
	case t.out <- m:
	case <-t.closed:
	}
}

// forward is middleware that answers requests of the client with the responses of the MCP
// server.
func (t *translator) forward(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
		switch p := r.GetParams().(type) {
		case *mcp.ListToolsParams:
			return asResult(t.client.ListTools(ctx, stripProtocolMeta(p)))
		case *mcp.CallToolParamsRaw:
			call := stripProtocolMeta(&mcp.CallToolParams{Meta: p.Meta, Name: p.Name, Arguments: p.Arguments})
			return unchanged(ctx, new(mcp.CallToolResult), func(ctx context.Context) (*mcp.CallToolResult, error) {
				return t.client.CallTool(ctx, call)
			})
		case *mcp.ListPromptsParams:
			return asResult(t.client.ListPrompts(ctx, stripProtocolMeta(p)))
		case *mcp.GetPromptParams:
			return unchanged(ctx, new(mcp.GetPromptResult), func(ctx context.Context) (*mcp.GetPromptResult, error) {
				return t.client.GetPrompt(ctx, stripProtocolMeta(p))
			})
		case *mcp.ListResourcesParams:
			return asResult(t.client.ListResources(ctx, stripProtocolMeta(p)))
		case *mcp.ListResourceTemplatesParams:
			return asResult(t.client.ListResourceTemplates(ctx, stripProtocolMeta(p)))
		case *mcp.ReadResourceParams:
			return unchanged(ctx, new(mcp.ReadResourceResult), func(ctx context.Context) (*mcp.ReadResourceResult, error) {
				return t.client.ReadResource(ctx, stripProtocolMeta(p))
			})
		case *mcp.CompleteParams:
			return asResult(t.client.Complete(ctx, stripProtocolMeta(p)))
		case *mcp.SetLoggingLevelParams: //nolint:staticcheck // deprecated for future revisions
			if err := t.client.SetLoggingLevel(ctx, stripProtocolMeta(p)); err != nil { //nolint:staticcheck // deprecated for future revisions
				return nil, err
			}
		}
		return next(ctx, method, r)
	}
}

// asResult converts a typed nil to an untyped nil when err is not nil.
func asResult[R mcp.Result](r R, err error) (mcp.Result, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

// stripProtocolMeta removes the protocol members of _meta, which are valid only for the
// revision of the client.
func stripProtocolMeta[P mcp.Params](p P) P {
	meta := maps.Clone(p.GetMeta())
	maps.DeleteFunc(meta, func(key string, _ any) bool { return strings.HasPrefix(key, "io.modelcontextprotocol/") })
	p.SetMeta(meta)
	return p
}

// Send implements Conn.
func (t *translator) Send(ctx context.Context, message []byte) error {
	select {
	case t.in <- message:
		return nil
	case <-t.closed:
		return io.ErrClosedPipe
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Receive implements Conn.
func (t *translator) Receive(ctx context.Context) ([]byte, error) {
	select {
	case m := <-t.out:
		return m, nil
	case <-t.closed:
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close implements Conn.
func (t *translator) Close() error {
	var err error
	t.once.Do(func() {
		close(t.closed)
		err = t.conn.Close()
	})
	return err
}

// clientTransport is the transport between the client and the SDK server.
type clientTransport struct{ t *translator }

// Connect implements mcp.Transport.
func (a clientTransport) Connect(context.Context) (mcp.Connection, error) { return a, nil }

// SessionID implements mcp.Connection. There is no session ID.
func (a clientTransport) SessionID() string { return "" }

// Read implements mcp.Connection.
func (a clientTransport) Read(ctx context.Context) (jsonrpc.Message, error) {
	select {
	case m := <-a.t.in:
		return jsonrpc.DecodeMessage(m)
	case <-a.t.closed:
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Write implements mcp.Connection.
func (a clientTransport) Write(ctx context.Context, message jsonrpc.Message) error {
	b, err := jsonrpc.EncodeMessage(message)
	if err != nil {
		return err
	}
	select {
	case a.t.out <- b:
		return nil
	case <-a.t.closed:
		return io.ErrClosedPipe
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close implements mcp.Connection.
func (a clientTransport) Close() error { return a.t.Close() }

// serverTransport is the transport between the SDK client and the MCP server.
type serverTransport struct{ t *translator }

// Connect implements mcp.Transport.
func (b serverTransport) Connect(context.Context) (mcp.Connection, error) { return b, nil }

// SessionID implements mcp.Connection. There is no session ID.
func (b serverTransport) SessionID() string { return "" }

// Read implements mcp.Connection. It skips messages that are not valid JSON-RPC.
func (b serverTransport) Read(ctx context.Context) (jsonrpc.Message, error) {
	for {
		raw, err := b.t.conn.Receive(ctx)
		if err != nil {
			return nil, errors.Join(err, b.t.Close())
		}
		message, err := jsonrpc.DecodeMessage(raw)
		if err != nil {
			continue
		}
		if r, ok := message.(*jsonrpc.Response); ok {
			b.t.onResult(r)
		}
		return message, nil
	}
}

// Write implements mcp.Connection.
func (b serverTransport) Write(ctx context.Context, message jsonrpc.Message) error {
	raw, err := jsonrpc.EncodeMessage(message)
	if err != nil {
		return err
	}
	if r, ok := message.(*jsonrpc.Request); ok && r.IsCall() {
		b.t.keepResult(ctx, r.ID)
	}
	return b.t.conn.Send(ctx, raw)
}

// Close implements mcp.Connection.
func (b serverTransport) Close() error { return b.t.Close() }
