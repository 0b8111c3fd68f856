package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	agentv1 "github.com/agentarea/agentarea/sdk/proto/agent/v1"
)

// Client is the host's side of an agent type in another process. Its errors
// are *sdk.Error; a plugin that dies is CodePluginCrashed and wraps ErrDied.
type Client struct {
	rpc agentv1.AgentServiceClient
	// Grace is how long a cancelled run may take to end before its stream is cut.
	Grace time.Duration
}

// NewClient speaks to the plugin at the other end of cc.
func NewClient(cc grpc.ClientConnInterface) *Client {
	return &Client{rpc: agentv1.NewAgentServiceClient(cc), Grace: 2 * time.Second}
}

// Schema asks for the JSON Schema of an agent's config.
func (c *Client) Schema(ctx context.Context) (json.RawMessage, error) {
	r, err := c.rpc.AgentSchema(ctx, &agentv1.AgentSchemaRequest{})
	if err != nil {
		return nil, wire.FromCall(ctx, err)
	}
	return json.RawMessage(r.GetSchemaJson()), nil
}

// Run implements Runner. Once ctx has ended it gives no answer, but CodeCancelled
// or CodeTimeout. It returns when all calls of handler have.
func (c *Client) Run(ctx context.Context, run *Run, handler Handler) (*sdk.Message, error) {
	// The stream outlives ctx by the grace.
	streamCtx, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stream, err := c.rpc.Run(streamCtx)
	if err != nil {
		return nil, streamError(ctx, err)
	}
	callsCtx, endCalls := context.WithCancel(ctx)
	defer endCalls()
	s := &session{ctx: callsCtx, stream: stream, handler: handler}
	stopWatching := context.AfterFunc(ctx, func() {
		time.AfterFunc(c.Grace, cut)
		s.cancel(context.Cause(ctx))
	})
	defer stopWatching()

	err = s.send(&agentv1.RunRequest{Message: &agentv1.RunRequest_Start{Start: fromRun(run)}})
	if err != nil && !errors.Is(err, io.EOF) { // EOF: receive tells why
		return nil, streamError(ctx, err)
	}
	message, err := s.receive(streamCtx)
	if err == nil {
		// The plugin ends the stream after its finish; it gets the time to do so.
		patience := time.AfterFunc(c.Grace, cut)
		_, _ = stream.Recv()
		patience.Stop()
	}
	cut() // calls that wait to send their reply end with the stream
	endCalls()
	s.workers.Wait()
	if ctx.Err() != nil {
		return nil, wire.AsError(ctx.Err())
	}
	return message, err
}

// streamError is why the stream broke. That the plugin died wraps ErrDied, to
// tell it from a loop that returns CodePluginCrashed because a model's provider died.
func streamError(ctx context.Context, err error) error {
	err = wire.FromCall(ctx, err)
	if wire.AsError(err).Code == sdk.CodePluginCrashed {
		return fmt.Errorf("%w: %w", ErrDied, err)
	}
	return err
}
