package llm

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

// BatchStream is an optional interface of a Stream. If the Stream that is passed to the Chat method of
// a client implements it, the client passes deltas that arrived together in one call.
type BatchStream interface {
	Stream
	// SendBatch receives deltas in order. It must not retain the slice.
	SendBatch(deltas []Delta) error
}

// client implements Provider with the gRPC service.
type client struct{ rpc llmv1.LLMServiceClient }

// NewClient returns the host's client of a provider in another process. The errors of its methods are
// *sdk.Error, except that Chat returns an error of out.Send unchanged. If the provider's process
// exits, the error has CodePluginCrashed.
func NewClient(cc grpc.ClientConnInterface) Provider {
	return &client{rpc: llmv1.NewLLMServiceClient(cc)}
}

func (c *client) ListModels(ctx context.Context) ([]Model, error) {
	r, err := c.rpc.ListModels(ctx, &llmv1.ListModelsRequest{})
	if err != nil {
		return nil, wire.FromCall(ctx, err)
	}
	models := make([]Model, 0, len(r.GetModels()))
	for _, m := range r.GetModels() {
		models = append(models, Model{
			ID: m.GetId(), DisplayName: m.GetDisplayName(), ContextWindow: m.GetContextWindow(),
			MaxOutputTokens: m.GetMaxOutputTokens(), Capabilities: m.GetCapabilities(),
		})
	}
	return models, nil
}

func (c *client) Chat(ctx context.Context, req *Request, out Stream) (*Finish, error) {
	// The cancellation also ends the call in the provider if Chat returns early.
	callCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.rpc.Chat(callCtx, fromRequest(req))
	if err != nil {
		return nil, wire.FromCall(ctx, err)
	}
	in := receiver{out: out}
	in.batch, _ = out.(BatchStream)
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil, wire.FromCall(ctx, err)
		}
		if err := in.receive(m.GetDeltas()); err != nil {
			return nil, err
		}
		if m.GetFinish() == nil {
			continue
		}
		// Read the status, which follows the finish. Otherwise gRPC resets the stream.
		if _, err := stream.Recv(); err == nil {
			return nil, &sdk.Error{Code: sdk.CodeInternal, Message: "the provider sent a response after its finish"}
		} else if !errors.Is(err, io.EOF) {
			return nil, wire.FromCall(ctx, err)
		}
		return toFinish(m.GetFinish()), nil
	}
}

// receiver passes deltas to a Stream. It reuses the slice for batches.
type receiver struct {
	out    Stream
	batch  BatchStream
	deltas []Delta
}

func (r *receiver) receive(deltas []*llmv1.Delta) error {
	if r.batch == nil {
		for _, d := range deltas {
			if err := r.out.Send(toDelta(d)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(deltas) == 0 {
		return nil
	}
	r.deltas = r.deltas[:0]
	for _, d := range deltas {
		r.deltas = append(r.deltas, toDelta(d))
	}
	return r.batch.SendBatch(r.deltas)
}
