package mcptransport

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	mcpv1 "github.com/agentarea/agentarea/sdk/proto/mcp/v1"
)

// closeTime is how long a connection may take to end once it is closed.
const closeTime = 10 * time.Second

// Client is the host's side of a transport in another process. Its errors are
// *sdk.Error; a plugin that dies is CodePluginCrashed, and the Exit of its
// connections.
type Client struct {
	rpc mcpv1.MCPServiceClient
}

// NewClient speaks to the plugin at the other end of cc.
func NewClient(cc grpc.ClientConnInterface) *Client {
	return &Client{rpc: mcpv1.NewMCPServiceClient(cc)}
}

// CheckConfig implements Transport.
func (c *Client) CheckConfig(ctx context.Context, config json.RawMessage) error {
	r, err := c.rpc.CheckConfig(ctx, &mcpv1.CheckConfigRequest{ConfigJson: string(config)})
	if err != nil {
		return wire.FromCall(ctx, err)
	}
	var errs []error
	for _, d := range wire.ToDiagnostics(r.GetDiagnostics()) {
		if !d.Warning {
			errs = append(errs, &d.ConfigError)
		}
	}
	return errors.Join(errs...)
}

// Connect implements Transport.
func (c *Client) Connect(ctx context.Context, o Open) (Conn, error) {
	// The stream outlives ctx, which is for the opening.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	opening := context.AfterFunc(ctx, end)
	conn, err := c.open(life, o)
	if !opening() || err != nil {
		end()
		if err == nil || ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, wire.FromCall(ctx, err)
	}
	conn.end = end
	return conn, nil
}

func (c *Client) open(ctx context.Context, o Open) (*conn, error) {
	stream, err := c.rpc.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(&mcpv1.ConnectRequest{Message: &mcpv1.ConnectRequest_Open{
		Open: &mcpv1.Open{ConfigJson: string(o.Config), Slug: o.Slug},
	}}); err != nil && !errors.Is(err, io.EOF) { // EOF: Recv tells why
		return nil, err
	}
	first, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	opened := first.GetOpened()
	if opened == nil {
		return nil, &sdk.Error{Code: sdk.CodeInternal, Message: "the transport's first message is not opened"}
	}
	return &conn{stream: stream, ctx: ctx, turn: make(chan struct{}, 1), info: Info{PID: int(opened.GetPid()), Sandbox: opened.GetSandbox()}}, nil
}

// conn is a connection through a plugin.
type conn struct {
	stream mcpv1.MCPService_ConnectClient
	ctx    context.Context //nolint:containedctx // the stream's, for errors
	end    context.CancelFunc
	info   Info
	// turn is held by who sends.
	turn   chan struct{}
	closed sync.Once
	exit   *Exit
}

// Info implements Conn.
func (c *conn) Info() Info { return c.info }

// Send implements Conn. One that has begun ends with the connection at the latest.
func (c *conn) Send(ctx context.Context, message []byte) error {
	if len(message) > MaxMessage {
		return &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the message is over 16 MiB, which is the most"}
	}
	return c.send(ctx, &mcpv1.ConnectRequest{Message: &mcpv1.ConnectRequest_Json{Json: message}})
}

func (c *conn) send(ctx context.Context, m *mcpv1.ConnectRequest) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return wire.FromCall(ctx, ctx.Err())
	case <-c.ctx.Done():
		return gone()
	}
	if c.stream.Send(m) != nil {
		return gone()
	}
	return nil
}

func gone() error {
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: "the connection to the MCP server has ended", Retryable: true}
}

// Receive implements Conn.
func (c *conn) Receive(ctx context.Context) (Frame, error) {
	if c.exit != nil {
		return Frame{}, c.exit
	}
	defer context.AfterFunc(ctx, c.end)()
	for {
		m, err := c.stream.Recv()
		if err != nil {
			return c.ended(c.broken(ctx, err))
		}
		switch m := m.GetMessage().(type) {
		case *mcpv1.ConnectResponse_Json:
			return Frame{Message: m.Json}, nil
		case *mcpv1.ConnectResponse_StderrLine:
			return Frame{Stderr: m.StderrLine}, nil
		case *mcpv1.ConnectResponse_Exit:
			return c.ended(&Exit{Code: int(m.Exit.GetCode()), Message: m.Exit.GetMessage()})
		}
	}
}

func (c *conn) ended(e *Exit) (Frame, error) {
	c.exit = e
	c.end()
	return Frame{}, e
}

// broken says why a stream broke before its Exit.
func (c *conn) broken(ctx context.Context, err error) *Exit {
	switch {
	case ctx.Err() != nil:
		return &Exit{Code: -1, Message: "nobody waits for the connection any more"}
	case errors.Is(err, io.EOF) || c.ctx.Err() != nil:
		return &Exit{Code: -1, Message: "the connection was closed"}
	}
	err = wire.FromCall(ctx, err)
	return &Exit{Code: -1, Message: wire.AsError(err).Message, Err: err}
}

// Close implements Conn.
func (c *conn) Close() error {
	c.closed.Do(func() {
		time.AfterFunc(closeTime, c.end)
		// Not awaited: a message before it may be stuck.
		go func() {
			_ = c.send(c.ctx, &mcpv1.ConnectRequest{Message: &mcpv1.ConnectRequest_Close{Close: &mcpv1.Close{}}})
		}()
	})
	return nil
}
