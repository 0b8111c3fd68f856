package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	"github.com/agentarea/agentarea/sdk/plugin"
	agentv1 "github.com/agentarea/agentarea/sdk/proto/agent/v1"
)

// server implements the gRPC service with a Type.
type server struct {
	agentv1.UnimplementedAgentServiceServer
	agentType Type
}

func (s *server) AgentSchema(context.Context, *agentv1.AgentSchemaRequest) (*agentv1.AgentSchemaResponse, error) {
	schema := s.agentType.Schema()
	if len(schema) == 0 {
		schema = json.RawMessage(`{"type":"object"}`)
	}
	if !json.Valid(schema) {
		return nil, wire.ToStatus(&sdk.Error{
			Code: sdk.CodeInternal, Message: "the schema of the agent type is not valid JSON",
		})
	}
	return &agentv1.AgentSchemaResponse{SchemaJson: string(schema)}, nil
}

func (s *server) Run(stream agentv1.AgentService_RunServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	start := first.GetStart()
	if start == nil {
		return wire.ToStatus(&sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the first message of a run must be Start"})
	}
	ctx, cancel := context.WithCancelCause(plugin.WithRunID(stream.Context(), start.GetRunId()))
	defer cancel(nil)
	h := newHost(ctx, stream)
	go receive(stream, h, cancel)

	message, err := run(ctx, s.agentType, toRun(start), h)
	finish := &agentv1.Finish{Message: wire.FromMessage(message)}
	if err != nil {
		finish = &agentv1.Finish{Error: wire.FromError(wire.AsError(err))}
	}
	return wire.ToStatus(h.finish(finish))
}

// run executes the loop. A panic of the loop fails its run only.
func run(ctx context.Context, t Type, r *Run, h Host) (m *sdk.Message, err error) {
	defer func() {
		if v := recover(); v != nil {
			m, err = nil, plugin.Recovered(ctx, v)
		}
	}()
	return t.Run(ctx, r, h)
}

// receive passes replies and deltas to the calls that wait for them. It returns when the stream ends,
// which is at the latest when the gRPC handler returns.
func receive(stream agentv1.AgentService_RunServer, h *host, cancel context.CancelCauseFunc) {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			err = context.Canceled
		}
		if err != nil {
			cancel(err)
			return
		}
		switch m := m.GetMessage().(type) {
		case *agentv1.RunRequest_Reply:
			h.reply(m.Reply)
		case *agentv1.RunRequest_Delta:
			h.delta(m.Delta)
		case *agentv1.RunRequest_Cancel:
			cancel(&sdk.Error{Code: sdk.CodeCancelled, Message: m.Cancel.GetReason()})
		}
	}
}
