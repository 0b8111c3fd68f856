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

// BatchStream is a Stream that takes all the pieces that came together at once.
// A client's Chat asks its out for it.
type BatchStream interface {
	Stream
	// SendBatch takes pieces in order. The slice is the caller's again when it returns.
	SendBatch(deltas []Delta) error
}

type client struct{ rpc llmv1.LLMServiceClient }

// NewClient is the host's side of a provider in another process. What its
// methods return is *sdk.Error, but for an error of out.Send, which is returned
// as it is. A provider that dies is CodePluginCrashed.
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
	// However Chat ends, the provider's side ends too.
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
		if err := in.take(m.GetDeltas()); err != nil {
			return nil, err
		}
		if m.GetFinish() == nil {
			continue
		}
		// The status comes with the finish; to read it spares the stream a reset.
		if _, err := stream.Recv(); err == nil {
			return nil, &sdk.Error{Code: sdk.CodeInternal, Message: "the provider went on after its finish"}
		} else if !errors.Is(err, io.EOF) {
			return nil, wire.FromCall(ctx, err)
		}
		return toFinish(m.GetFinish()), nil
	}
}

// receiver hands over what came, in a slice that it keeps.
type receiver struct {
	out    Stream
	batch  BatchStream
	deltas []Delta
}

func (r *receiver) take(deltas []*llmv1.Delta) error {
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
