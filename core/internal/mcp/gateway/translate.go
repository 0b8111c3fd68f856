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

func eraKey(s *core.MCPServer) string { return s.ID + " " + strconv.FormatInt(s.Version, 10) }

// onlyModern says that a server is known to have refused initialize.
func (g *Gateway) onlyModern(s *core.MCPServer) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.modernOnly[eraKey(s)]
}

func (g *Gateway) noteOnlyModern(s *core.MCPServer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.modernOnly) > maxEras {
		clear(g.modernOnly)
	}
	g.modernOnly[eraKey(s)] = true
}

// maxEras is how many servers' eras are remembered.
const maxEras = 1000

// dialForLegacy opens a child that knows the modern era only, for a legacy client.
func (g *Gateway) dialForLegacy(ctx context.Context, id string) (Child, error) {
	return g.dialTranslated(ctx, id, "")
}

// dialForModern opens a child that knows the old revisions only, for modern
// clients. It can't ask them anything.
func (g *Gateway) dialForModern(ctx context.Context, id string) (Child, error) {
	return g.dialTranslated(ctx, id, version202511)
}

// translator is a Child of the other era than the one behind it: go-sdk's server
// above, go-sdk's client below.
type translator struct {
	child Child
	// in are the client's messages, out those for it.
	in, out chan []byte
	ended   chan struct{}
	once    sync.Once

	above *mcp.ServerSession
	below *mcp.ClientSession
}

// dialTranslated speaks to the child in that revision; the newest if it is empty.
func (g *Gateway) dialTranslated(ctx context.Context, id, version string) (Child, error) {
	child, err := g.servers.Dial(ctx, id)
	if err != nil {
		return nil, err
	}
	t := &translator{child: child, in: make(chan []byte), out: make(chan []byte), ended: make(chan struct{})}
	client := mcp.NewClient(&mcp.Implementation{Name: "agentarea", Version: "1"}, t.clientOptions(version == ""))
	t.below, err = client.Connect(ctx, below{t}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		_ = t.Close()
		return nil, &core.Error{Code: core.CodeUpstream, Message: "The MCP server did not accept the handshake", Err: err}
	}
	info := t.below.InitializeResult()
	server := mcp.NewServer(info.ServerInfo, &mcp.ServerOptions{
		Instructions: info.Instructions, Capabilities: info.Capabilities,
		SubscribeHandler:   func(ctx context.Context, r *mcp.SubscribeRequest) error { return t.below.Subscribe(ctx, r.Params) },
		UnsubscribeHandler: func(ctx context.Context, r *mcp.UnsubscribeRequest) error { return t.below.Unsubscribe(ctx, r.Params) },
	})
	server.AddReceivingMiddleware(t.forward)
	if t.above, err = server.Connect(context.WithoutCancel(ctx), above{t}, nil); err != nil {
		_ = t.Close()
		return nil, err
	}
	return t, nil
}

// clientOptions hand what the child asks to the client above, if it can be asked.
func (t *translator) clientOptions(asks bool) *mcp.ClientOptions {
	o := &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{},
		ProgressNotificationHandler: func(ctx context.Context, r *mcp.ProgressNotificationClientRequest) {
			_ = t.above.NotifyProgress(ctx, r.Params) // a client that is gone
		},
		LoggingMessageHandler: func(ctx context.Context, r *mcp.LoggingMessageRequest) { //nolint:staticcheck // deprecated, for revisions to come
			_ = t.above.Log(ctx, r.Params) //nolint:staticcheck // deprecated, for revisions to come; a client may be gone
		},
		ToolListChangedHandler:     func(context.Context, *mcp.ToolListChangedRequest) { t.tell("notifications/tools/list_changed") },
		PromptListChangedHandler:   func(context.Context, *mcp.PromptListChangedRequest) { t.tell("notifications/prompts/list_changed") },
		ResourceListChangedHandler: func(context.Context, *mcp.ResourceListChangedRequest) { t.tell("notifications/resources/list_changed") },
	}
	if asks {
		o.ElicitationHandler = func(ctx context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return t.above.Elicit(ctx, r.Params)
		}
		o.CreateMessageHandler = func(ctx context.Context, r *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) { //nolint:staticcheck // deprecated, for revisions to come
			return t.above.CreateMessage(ctx, r.Params) //nolint:staticcheck // deprecated, for revisions to come
		}
	}
	return o
}

func (t *translator) tell(method string) {
	m, err := notification(method, nil)
	if err != nil {
		return
	}
	select {
	case t.out <- m:
	case <-t.ended:
	}
}

// forward answers a client's request with the child's answer.
func (t *translator) forward(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
		switch p := r.GetParams().(type) {
		case *mcp.ListToolsParams:
			return result(t.below.ListTools(ctx, clean(p)))
		case *mcp.CallToolParamsRaw:
			call := &mcp.CallToolParams{Meta: p.Meta, Name: p.Name, Arguments: p.Arguments}
			return result(t.below.CallTool(ctx, clean(call)))
		case *mcp.ListPromptsParams:
			return result(t.below.ListPrompts(ctx, clean(p)))
		case *mcp.GetPromptParams:
			return result(t.below.GetPrompt(ctx, clean(p)))
		case *mcp.ListResourcesParams:
			return result(t.below.ListResources(ctx, clean(p)))
		case *mcp.ListResourceTemplatesParams:
			return result(t.below.ListResourceTemplates(ctx, clean(p)))
		case *mcp.ReadResourceParams:
			return result(t.below.ReadResource(ctx, clean(p)))
		case *mcp.CompleteParams:
			return result(t.below.Complete(ctx, clean(p)))
		case *mcp.SetLoggingLevelParams: //nolint:staticcheck // deprecated, for revisions to come
			if err := t.below.SetLoggingLevel(ctx, clean(p)); err != nil { //nolint:staticcheck // deprecated, for revisions to come
				return nil, err
			}
		}
		return next(ctx, method, r)
	}
}

// result is without a typed nil.
func result[R mcp.Result](r R, err error) (mcp.Result, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

// clean takes out of _meta what is of the client's era.
func clean[P mcp.Params](p P) P {
	meta := maps.Clone(p.GetMeta())
	maps.DeleteFunc(meta, func(key string, _ any) bool { return strings.HasPrefix(key, "io.modelcontextprotocol/") })
	p.SetMeta(meta)
	return p
}

// Send implements Child.
func (t *translator) Send(ctx context.Context, message []byte) error {
	select {
	case t.in <- message:
		return nil
	case <-t.ended:
		return io.ErrClosedPipe
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Receive implements Child.
func (t *translator) Receive(ctx context.Context) ([]byte, error) {
	select {
	case m := <-t.out:
		return m, nil
	case <-t.ended:
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close implements Child.
func (t *translator) Close() error {
	var err error
	t.once.Do(func() {
		close(t.ended)
		err = t.child.Close()
	})
	return err
}

// above is the client's side as go-sdk's server has it.
type above struct{ t *translator }

func (a above) Connect(context.Context) (mcp.Connection, error) { return a, nil }

func (a above) SessionID() string { return "" }

func (a above) Read(ctx context.Context) (jsonrpc.Message, error) {
	select {
	case m := <-a.t.in:
		return jsonrpc.DecodeMessage(m)
	case <-a.t.ended:
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a above) Write(ctx context.Context, message jsonrpc.Message) error {
	b, err := jsonrpc.EncodeMessage(message)
	if err != nil {
		return err
	}
	select {
	case a.t.out <- b:
		return nil
	case <-a.t.ended:
		return io.ErrClosedPipe
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a above) Close() error { return a.t.Close() }

// below is the child as go-sdk's client has it.
type below struct{ t *translator }

func (b below) Connect(context.Context) (mcp.Connection, error) { return b, nil }

func (b below) SessionID() string { return "" }

func (b below) Read(ctx context.Context) (jsonrpc.Message, error) {
	for {
		raw, err := b.t.child.Receive(ctx)
		if err != nil {
			return nil, errors.Join(err, b.t.Close())
		}
		message, err := jsonrpc.DecodeMessage(raw)
		if err == nil {
			return message, nil
		}
		// What is no message is the fault of that alone.
	}
}

func (b below) Write(ctx context.Context, message jsonrpc.Message) error {
	raw, err := jsonrpc.EncodeMessage(message)
	if err != nil {
		return err
	}
	return b.t.child.Send(ctx, raw)
}

func (b below) Close() error { return b.t.Close() }
