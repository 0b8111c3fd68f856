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

// closeTime is the time that a connection has to end after Close.
const closeTime = 10 * time.Second

// Client is the host's client of a transport in another process. It implements Transport. Its errors are
// *sdk.Error. If the plugin's process exits, the error has CodePluginCrashed, and Receive of its
// connections returns an *Exit that wraps this error.
type Client struct {
	rpc mcpv1.MCPServiceClient
}

// NewClient returns a Client that uses the connection cc.
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
	// The stream outlives ctx, which applies only to the opening.
	streamCtx, end := context.WithCancel(context.WithoutCancel(ctx))
	stopCancel := context.AfterFunc(ctx, end)
	conn, err := c.open(streamCtx, o)
	if !stopCancel() || err != nil {
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
	}}); err != nil && !errors.Is(err, io.EOF) { // after io.EOF, Recv returns the cause
		return nil, err
	}
	first, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	opened := first.GetOpened()
	if opened == nil {
		return nil, &sdk.Error{Code: sdk.CodeInternal, Message: "the first message of the transport is not Opened"}
	}
	return &conn{
		stream: stream, ctx: ctx, sending: make(chan struct{}, 1),
		info: Info{PID: int(opened.GetPid()), Sandbox: opened.GetSandbox()},
	}, nil
}

// conn implements Conn with a stream to a plugin.
type conn struct {
	stream mcpv1.MCPService_ConnectClient
	ctx    context.Context //nolint:containedctx // the context of the stream
	end    context.CancelFunc
	info   Info
	// sending serializes sends. It is a channel so that waiting for it can be cancelled.
	sending chan struct{}
	closed  sync.Once
	exit    *Exit
}

// Info implements Conn.
func (c *conn) Info() Info { return c.info }

// Send implements Conn. It returns at the latest when the connection ends.
func (c *conn) Send(ctx context.Context, message []byte) error {
	if len(message) > MaxMessage {
		return &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the message is larger than the maximum of 16 MiB"}
	}
	return c.send(ctx, &mcpv1.ConnectRequest{Message: &mcpv1.ConnectRequest_Json{Json: message}})
}

func (c *conn) send(ctx context.Context, m *mcpv1.ConnectRequest) error {
	select {
	case c.sending <- struct{}{}:
		defer func() { <-c.sending }()
	case <-ctx.Done():
		return wire.FromCall(ctx, ctx.Err())
	case <-c.ctx.Done():
		return errEnded()
	}
	// The stream may still accept a message for a moment after its context has ended.
	if c.ctx.Err() != nil || c.stream.Send(m) != nil {
		return errEnded()
	}
	return nil
}

// errEnded returns the error of a send after the end of the connection.
func errEnded() error {
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
			return c.setExit(c.exitOf(ctx, err))
		}
		switch m := m.GetMessage().(type) {
		case *mcpv1.ConnectResponse_Json:
			return Frame{Message: m.Json}, nil
		case *mcpv1.ConnectResponse_StderrLine:
			return Frame{Stderr: m.StderrLine}, nil
		case *mcpv1.ConnectResponse_Exit:
			return c.setExit(&Exit{Code: int(m.Exit.GetCode()), Message: m.Exit.GetMessage()})
		}
	}
}

// setExit stores e, ends the stream and returns e.
func (c *conn) setExit(e *Exit) (Frame, error) {
	c.exit = e
	c.end()
	return Frame{}, e
}

// exitOf returns the Exit for a stream that broke before the plugin sent one.
func (c *conn) exitOf(ctx context.Context, err error) *Exit {
	switch {
	case ctx.Err() != nil:
		return &Exit{Code: -1, Message: "the host cancelled the connection"}
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
		// Do not wait, because a previous message may be blocked.
		go func() {
			_ = c.send(c.ctx, &mcpv1.ConnectRequest{Message: &mcpv1.ConnectRequest_Close{Close: &mcpv1.Close{}}})
		}()
	})
	return nil
}
