package mcptransport

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	"github.com/agentarea/agentarea/sdk/plugin"
	mcpv1 "github.com/agentarea/agentarea/sdk/proto/mcp/v1"
)

// server implements the gRPC service with a Transport.
type server struct {
	mcpv1.UnimplementedMCPServiceServer
	transport Transport
}

func (s *server) CheckConfig(ctx context.Context, r *mcpv1.CheckConfigRequest) (*mcpv1.CheckConfigResponse, error) {
	err := s.transport.CheckConfig(ctx, json.RawMessage(r.GetConfigJson()))
	var invalid *sdk.ConfigError
	if err != nil && !errors.As(err, &invalid) {
		return nil, wire.ToStatus(err) // the config may be valid; the host logs the text and does not show it to users
	}
	return &mcpv1.CheckConfigResponse{Diagnostics: wire.FromConfigErrors(err)}, nil
}

// Connect serves one connection until the connection has ended. The end of the stream closes the
// connection.
func (s *server) Connect(stream mcpv1.MCPService_ConnectServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	open := first.GetOpen()
	if open == nil {
		return wire.ToStatus(&sdk.Error{
			Code: sdk.CodeInvalidRequest, Message: "the first message of a connection must be Open",
		})
	}
	conn, err := s.transport.Connect(stream.Context(),
		Open{Slug: open.GetSlug(), Config: json.RawMessage(open.GetConfigJson())})
	if err != nil {
		return wire.ToStatus(err)
	}
	c := &served{stream: stream, conn: conn}
	// If the stream is cancelled, wait until the connection and its process have ended.
	c.ctx, c.fail = context.WithCancelCause(context.WithoutCancel(stream.Context()))
	defer c.fail(nil)
	defer c.close()
	info := conn.Info()
	if err := stream.Send(&mcpv1.ConnectResponse{Message: &mcpv1.ConnectResponse_Opened{
		Opened: &mcpv1.Opened{Pid: int64(info.PID), Sandbox: info.Sandbox},
	}}); err != nil {
		return err
	}
	go c.recovering(c.forward)
	delivered := make(chan error, 1)
	go c.recovering(func() { delivered <- c.deliver() })
	select {
	case err := <-delivered:
		return err
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

// maxQueued is the number of messages that are read before the connection accepts them, so that a Close
// after a few blocked messages is noticed.
const maxQueued = 16

// served is a connection that the server serves.
type served struct {
	stream mcpv1.MCPService_ConnectServer
	conn   Conn
	// ctx ends after a panic of the connection's methods, with the error for the host as its cause.
	ctx  context.Context
	fail context.CancelCauseFunc
}

// recovering calls f. A panic ends this connection only, and not the process.
func (c *served) recovering(f func()) {
	defer func() {
		if v := recover(); v != nil {
			c.fail(plugin.Recovered(c.ctx, v))
		}
	}()
	f()
}

// close closes the connection. Receive returns how it ended.
func (c *served) close() { c.recovering(func() { _ = c.conn.Close() }) }

// forward passes messages to the connection until the host closes it.
func (c *served) forward() {
	messages := make(chan []byte, maxQueued)
	go c.recovering(func() { c.send(messages) })
	defer close(messages)
	defer c.close()
	for {
		m, err := c.stream.Recv()
		if err != nil || m.GetClose() != nil {
			return
		}
		select {
		case messages <- m.GetJson():
		case <-c.stream.Context().Done():
			return
		case <-c.ctx.Done():
			return
		}
	}
}

func (c *served) send(messages <-chan []byte) {
	for m := range messages {
		if m != nil {
			// If Send fails, the connection has ended, and Receive returns why.
			_ = c.conn.Send(c.stream.Context(), m)
		}
	}
}

// deliver passes frames to the host until the connection has ended.
func (c *served) deliver() error {
	var sendErr error
	for {
		frame, err := c.conn.Receive(c.ctx)
		if err != nil {
			return errors.Join(sendErr, c.stream.Send(exit(err)))
		}
		if sendErr != nil {
			continue
		}
		if sendErr = c.stream.Send(fromFrame(frame)); sendErr != nil {
			c.close()
		}
	}
}

func fromFrame(f Frame) *mcpv1.ConnectResponse {
	if f.Message != nil {
		return &mcpv1.ConnectResponse{Message: &mcpv1.ConnectResponse_Json{Json: f.Message}}
	}
	return &mcpv1.ConnectResponse{Message: &mcpv1.ConnectResponse_StderrLine{StderrLine: wire.UTF8(f.Stderr)}}
}

func exit(err error) *mcpv1.ConnectResponse {
	var e *Exit
	if !errors.As(err, &e) {
		e = &Exit{Code: -1, Message: err.Error()}
	}
	return &mcpv1.ConnectResponse{Message: &mcpv1.ConnectResponse_Exit{
		Exit: &mcpv1.Exit{Code: int32(e.Code), Message: wire.UTF8(e.Message)}, //nolint:gosec // an exit code
	}}
}
