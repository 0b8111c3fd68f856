package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/plugin"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

// The bench program is also a plugin, if it is started as one: of the kind llm with fixed streams, or
// of the kind agent with a loop of host calls.
const (
	asLLM   = "plugin-llm"
	asAgent = "plugin-agent"
	// asPeer starts a plain gRPC server on a unix socket with the services of asLLM.
	asPeer = "peer"
)

func servePlugin(kind string) {
	info := sdk.Info{Name: "bench", Version: "1.0.0"}
	if kind == asAgent {
		agent.Serve(info, caller{})
		return
	}
	plugin.Serve("llm", info, nil, func(s *grpc.Server) { llmv1.RegisterLLMServiceServer(s, fixed{}) })
}

func servePeer(socket string) error {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", socket)
	if err != nil {
		return err
	}
	s := grpc.NewServer(plugin.ServerOptions()...)
	if err := plugin.Register(s, "llm", sdk.Info{Name: "bench", Version: "1.0.0"}, nil); err != nil {
		return err
	}
	llmv1.RegisterLLMServiceServer(s, fixed{})
	fmt.Println("ready")
	return s.Serve(l)
}

// fixed is a provider that answers with max_tokens tokens. The model's name is the number of tokens in
// a message.
type fixed struct {
	llmv1.UnimplementedLLMServiceServer
}

func (fixed) Chat(req *llmv1.ChatRequest, stream llmv1.LLMService_ChatServer) error {
	size, err := strconv.Atoi(req.GetModel())
	if err != nil {
		return err
	}
	for left := int(req.GetParameters().GetMaxTokens()); left > 0; left -= size {
		m := &llmv1.ChatResponse{}
		for range min(left, size) {
			m.Deltas = append(m.Deltas, &llmv1.Delta{Content: &llmv1.Delta_Text{Text: " token"}})
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return stream.Send(&llmv1.ChatResponse{Finish: &llmv1.Finish{
		Reason: llmv1.FinishReason_FINISH_REASON_STOP, Usage: &basev1.Usage{},
	}})
}

// caller is an agent type that makes as many host calls as the run's seed: completions if its config
// requests them, otherwise tool calls.
type caller struct{}

func (caller) Schema() json.RawMessage { return json.RawMessage(`{"type":"object"}`) }

func (caller) Run(ctx context.Context, run *agent.Run, host agent.Host) (*sdk.Message, error) {
	var config struct{ Complete bool }
	if err := json.Unmarshal(run.Config, &config); err != nil {
		return nil, err
	}
	for range run.Seed {
		var err error
		if config.Complete {
			_, err = host.Complete(ctx, &agent.Completion{Model: "1", Messages: []sdk.Message{run.Input}})
		} else {
			_, err = host.CallTools(ctx, []sdk.ToolCall{{ID: "1", Name: "add", Arguments: `{"a":2,"b":3}`}})
		}
		if err != nil {
			return nil, err
		}
	}
	m := sdk.Text(sdk.RoleAssistant, "done")
	return &m, nil
}
