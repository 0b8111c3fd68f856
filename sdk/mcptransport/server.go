package mcptransport

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	mcpv1 "github.com/agentarea/agentarea/sdk/proto/mcp/v1"
)

// server implements the gRPC service with a Transport.
type server struct {
	mcpv1.UnimplementedMCPServiceServer
	transport Transport
}

func (s *server) CheckConfig(ctx context.Context, r *mcpv1.CheckConfigRequest) (*mcpv1.CheckConfigResponse, error) {
	err := s.transport.CheckConfig(ctx, json.RawMessage(r.GetConfigJson()))
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
		return wire.ToStatus(&sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the first message of a connection must be Open"})
	}
	conn, err := s.transport.Connect(stream.Context(), Open{Slug: open.GetSlug(), Config: json.RawMessage(open.GetConfigJson())})
	if err != nil {
		return wire.ToStatus(err)
	}
	defer conn.Close() //nolint:errcheck // the connection has usually ended already
	info := conn.Info()
	if err := stream.Send(&mcpv1.ConnectResponse{Message: &mcpv1.ConnectResponse_Opened{
		Opened: &mcpv1.Opened{Pid: int64(info.PID), Sandbox: info.Sandbox},
	}}); err != nil {
		return err
	}
	go forward(stream, conn)
	return deliver(stream, conn)
}

// maxQueued is the number of messages that are read before the connection accepts them, so that a Close
// after a few blocked messages is noticed.
const maxQueued = 16

// forward passes messages to the connection until the host closes it.
func forward(stream mcpv1.MCPService_ConnectServer, conn Conn) {
	messages := make(chan []byte, maxQueued)
	go send(stream.Context(), conn, messages)
	defer close(messages)
	defer conn.Close() //nolint:errcheck // Receive returns how it ended
	for {
		m, err := stream.Recv()
		if err != nil || m.GetClose() != nil {
			return
		}
		select {
		case messages <- m.GetJson():
		case <-stream.Context().Done():
			return
		}
	}
}

func send(ctx context.Context, conn Conn, messages <-chan []byte) {
	for m := range messages {
		if m != nil {
			// If Send fails, the connection has ended, and Receive returns why.
			_ = conn.Send(ctx, m)
		}
	}
}

// deliver passes frames to the host until the connection has ended.
func deliver(stream mcpv1.MCPService_ConnectServer, conn Conn) error {
	// If the stream is cancelled, wait until the connection and its process have ended.
	ctx := context.WithoutCancel(stream.Context())
	var sendErr error
	for {
		frame, err := conn.Receive(ctx)
		if err != nil {
			return errors.Join(sendErr, stream.Send(exit(err)))
		}
		if sendErr != nil {
			continue
		}
		if sendErr = stream.Send(fromFrame(frame)); sendErr != nil {
			_ = conn.Close() // Receive returns how it ended
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
