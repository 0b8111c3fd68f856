package main

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"

	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

// raw is a provider that does not use the SDK, as one in another language, and violates the protocol.
type raw struct {
	llmv1.UnimplementedLLMServiceServer
	answer []*llmv1.ChatResponse
}

// rawAnswer returns the provider for a fault of which the SDK protects its users, or nil.
func rawAnswer() *raw {
	finish := &llmv1.ChatResponse{Finish: &llmv1.Finish{
		Reason: llmv1.FinishReason_FINISH_REASON_STOP, Usage: &basev1.Usage{InputTokens: 1, OutputTokens: 1},
	}}
	text := &llmv1.ChatResponse{Deltas: []*llmv1.Delta{{Content: &llmv1.Delta_Text{Text: "fine"}}}}
	switch fault {
	case "after-finish":
		return &raw{answer: []*llmv1.ChatResponse{text, finish, text}}
	case "bytes":
		return &raw{answer: []*llmv1.ChatResponse{invalidText(), finish}}
	}
	return nil
}

// invalidText returns a response with a text that is not valid UTF-8. Go encodes no such text, so the response contains
// the encoded delta as an unknown field.
func invalidText() *llmv1.ChatResponse {
	delta := protowire.AppendTag(nil, 1, protowire.BytesType)
	delta = protowire.AppendString(delta, "half of 😀"[:10])
	m := &llmv1.ChatResponse{}
	m.ProtoReflect().SetUnknown(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), delta))
	return m
}

// ListModels implements llmv1.LLMServiceServer.
func (*raw) ListModels(context.Context, *llmv1.ListModelsRequest) (*llmv1.ListModelsResponse, error) {
	return &llmv1.ListModelsResponse{Models: []*llmv1.Model{{Id: "one"}}}, nil
}

// Chat implements llmv1.LLMServiceServer.
func (r *raw) Chat(_ *llmv1.ChatRequest, stream grpc.ServerStreamingServer[llmv1.ChatResponse]) error {
	for _, m := range r.answer {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}
