package mcptransport

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	mcpv1 "github.com/agentarea/agentarea/sdk/proto/mcp/v1"
)

type server struct {
	mcpv1.UnimplementedMCPServiceServer
	transport Transport
}

func (s *server) CheckConfig(ctx context.Context, r *mcpv1.CheckConfigRequest) (*mcpv1.CheckConfigResponse, error) {
	err := s.transport.CheckConfig(ctx, json.RawMessage(r.GetConfigJson()))
	return &mcpv1.CheckConfigResponse{Diagnostics: wire.FromConfigErrors(err)}, nil
}

// Connect serves one connection. It ends when the connection has, which the end
// of the stream closes.
func (s *server) Connect(stream mcpv1.MCPService_ConnectServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	open := first.GetOpen()
	if open == nil {
		return wire.ToStatus(&sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the first message of a connection must be open"})
	}
	conn, err := s.transport.Connect(stream.Context(), Open{Slug: open.GetSlug(), Config: json.RawMessage(open.GetConfigJson())})
	if err != nil {
		return wire.ToStatus(err)
	}
	defer conn.Close() //nolint:errcheck // it is only made sure of here
	info := conn.Info()
	if err := stream.Send(&mcpv1.ConnectResponse{Message: &mcpv1.ConnectResponse_Opened{
		Opened: &mcpv1.Opened{Pid: int64(info.PID), Sandbox: info.Sandbox},
	}}); err != nil {
		return err
	}
	go forward(stream, conn)
	return deliver(stream, conn)
}

// ahead is how many messages are read before the connection takes them, so that
// a close behind some that are stuck is seen.
const ahead = 16

// forward hands messages to the connection until the host wants no more of it.
func forward(stream mcpv1.MCPService_ConnectServer, conn Conn) {
	messages := make(chan []byte, ahead)
	go send(stream.Context(), conn, messages)
	defer close(messages)
	defer conn.Close() //nolint:errcheck // Receive tells how it ended
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
			// A connection that takes none has ended, which Receive tells.
			_ = conn.Send(ctx, m)
		}
	}
}

// deliver hands frames to the host until the connection has ended.
func deliver(stream mcpv1.MCPService_ConnectServer, conn Conn) error {
	// A connection that is cut is waited for, so that what belongs to it is gone.
	ctx := context.WithoutCancel(stream.Context())
	var cut error
	for {
		frame, err := conn.Receive(ctx)
		if err != nil {
			return errors.Join(cut, stream.Send(exit(err)))
		}
		if cut != nil {
			continue
		}
		if cut = stream.Send(fromFrame(frame)); cut != nil {
			_ = conn.Close() // Receive tells how it ended
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
