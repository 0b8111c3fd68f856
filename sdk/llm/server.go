package llm

import (
	"context"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	"github.com/agentarea/agentarea/sdk/plugin"
	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

// server implements the gRPC service with a Provider.
type server struct {
	llmv1.UnimplementedLLMServiceServer
	provider Provider
}

func (s *server) ListModels(ctx context.Context, _ *llmv1.ListModelsRequest) (*llmv1.ListModelsResponse, error) {
	models, err := s.provider.ListModels(ctx)
	if err != nil {
		return nil, wire.ToStatus(err)
	}
	out := &llmv1.ListModelsResponse{}
	for _, m := range models {
		out.Models = append(out.Models, &llmv1.Model{
			Id: m.ID, DisplayName: m.DisplayName, ContextWindow: m.ContextWindow,
			MaxOutputTokens: m.MaxOutputTokens, Capabilities: m.Capabilities,
		})
	}
	return out, nil
}

func (s *server) Chat(req *llmv1.ChatRequest, stream llmv1.LLMService_ChatServer) error {
	ctx := plugin.WithRunID(stream.Context(), req.GetRunId())
	if !req.GetStream() {
		return wire.ToStatus(s.chatAtOnce(ctx, toRequest(req), stream))
	}
	out := newOutput(ctx, stream)
	defer out.close()
	finish, err := s.complete(ctx, toRequest(req), out)
	if err != nil {
		_ = out.finish(nil) // the host must receive err
		return wire.ToStatus(err)
	}
	return wire.ToStatus(out.finish(fromFinish(finish)))
}

// chatAtOnce sends the whole answer in one response.
func (s *server) chatAtOnce(ctx context.Context, req *Request, stream llmv1.LLMService_ChatServer) error {
	var all collector
	finish, err := s.complete(ctx, req, &all)
	if err != nil {
		return err
	}
	return stream.Send(all.response(finish))
}

func (s *server) complete(ctx context.Context, req *Request, out Stream) (*Finish, error) {
	finish, err := s.provider.Chat(ctx, req, out)
	if err == nil && finish == nil {
		err = &sdk.Error{Code: sdk.CodeInternal, Message: "the provider returned neither a finish nor an error"}
	}
	return finish, err
}
