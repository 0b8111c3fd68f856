package llm_test

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/loopback"
	"github.com/agentarea/agentarea/sdk/llm"
	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

// tokens is a provider that sends MaxTokens deltas without delay.
type tokens struct{}

func (tokens) ListModels(context.Context) ([]llm.Model, error) { return nil, nil }

func (tokens) Chat(_ context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	for range *req.MaxTokens {
		if err := out.Send(llm.Delta{Text: " token"}); err != nil {
			return nil, err
		}
	}
	return &llm.Finish{Reason: llm.FinishStop, Usage: sdk.Usage{OutputTokens: *req.MaxTokens}}, nil
}

// counter is a BatchStream that counts deltas and batches.
type counter struct{ deltas, messages int }

func (c *counter) Send(llm.Delta) error { c.deltas++; return nil }

func (c *counter) SendBatch(ds []llm.Delta) error { c.deltas += len(ds); c.messages++; return nil }

func request(n int, stream bool) *llm.Request {
	most := int64(n)
	return &llm.Request{
		Model: "m", Stream: stream, Parameters: llm.Parameters{MaxTokens: &most},
		Messages: []sdk.Message{sdk.Text(sdk.RoleSystem, "You are brief."), sdk.Text(sdk.RoleUser, "Hello?")},
	}
}

// BenchmarkToken measures the time per token from the provider's Send to the host's SendBatch.
func BenchmarkToken(b *testing.B) {
	b.Run("as they come", func(b *testing.B) {
		p := llm.NewClient(loopback.Connect(b, func(s *grpc.Server) { llm.Register(s, tokens{}) }))
		c := &counter{}
		b.ReportAllocs()
		b.ResetTimer()
		if _, err := p.Chat(b.Context(), request(b.N, true), c); err != nil {
			b.Fatal(err)
		}
		if c.deltas != b.N {
			b.Fatalf("%d of %d deltas", c.deltas, b.N)
		}
		b.ReportMetric(float64(c.deltas)/float64(c.messages), "tokens/message")
	})
	for _, size := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d a message", size), func(b *testing.B) {
			p := llm.NewClient(loopback.Connect(b, func(s *grpc.Server) {
				llmv1.RegisterLLMServiceServer(s, fixed{size: size})
			}))
			c := &counter{}
			b.ReportAllocs()
			b.ResetTimer()
			if _, err := p.Chat(b.Context(), request(b.N, true), c); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// fixed sends messages with a fixed number of deltas.
type fixed struct {
	llmv1.UnimplementedLLMServiceServer
	size int
}

func (f fixed) Chat(req *llmv1.ChatRequest, stream llmv1.LLMService_ChatServer) error {
	for left := int(req.GetParameters().GetMaxTokens()); left > 0; left -= f.size {
		m := &llmv1.ChatResponse{}
		for range min(left, f.size) {
			m.Deltas = append(m.Deltas, &llmv1.Delta{Content: &llmv1.Delta_Text{Text: " token"}})
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return stream.Send(&llmv1.ChatResponse{Finish: &llmv1.Finish{}})
}

// BenchmarkChat measures a Chat with 50 tokens.
func BenchmarkChat(b *testing.B) {
	for _, stream := range []bool{false, true} {
		b.Run(fmt.Sprintf("stream=%t", stream), func(b *testing.B) {
			p := llm.NewClient(loopback.Connect(b, func(s *grpc.Server) { llm.Register(s, tokens{}) }))
			req := request(50, stream)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Chat(b.Context(), req, &counter{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
