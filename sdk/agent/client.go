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

// Client is the host's client of an agent type in another process. Its errors are *sdk.Error. If the
// plugin crashes during a run, the error has CodePluginCrashed and wraps ErrPluginCrashed.
type Client struct {
	rpc agentv1.AgentServiceClient
	// Grace is the time that a cancelled run has to end before the client closes its stream.
	Grace time.Duration
}

// NewClient returns a Client that uses the connection cc. Its Grace is 2 seconds.
func NewClient(cc grpc.ClientConnInterface) *Client {
	return &Client{rpc: agentv1.NewAgentServiceClient(cc), Grace: 2 * time.Second}
}

// Schema returns the JSON Schema of the config of agents of the type.
func (c *Client) Schema(ctx context.Context) (json.RawMessage, error) {
	r, err := c.rpc.AgentSchema(ctx, &agentv1.AgentSchemaRequest{})
	if err != nil {
		return nil, wire.FromCall(ctx, err)
	}
	return json.RawMessage(r.GetSchemaJson()), nil
}

// Run implements Runner. If ctx is done before the run ends, it returns an error with CodeCancelled
// or CodeTimeout and no answer.
func (c *Client) Run(ctx context.Context, run *Run, handler Handler) (*sdk.Message, error) {
	// The stream outlives ctx by Grace, so that the plugin can end a cancelled run by itself.
	streamCtx, closeStream := context.WithCancel(context.WithoutCancel(ctx))
	defer closeStream()
	stream, err := c.rpc.Run(streamCtx)
	if err != nil {
		return nil, streamError(ctx, err)
	}
	callsCtx, endCalls := context.WithCancel(ctx)
	defer endCalls()
	s := &runStream{ctx: callsCtx, stream: stream, handler: handler}
	stopCancel := context.AfterFunc(ctx, func() {
		time.AfterFunc(c.Grace, closeStream)
		s.cancel(context.Cause(ctx))
	})
	defer stopCancel()

	err = s.send(&agentv1.RunRequest{Message: &agentv1.RunRequest_Start{Start: fromRun(run)}})
	if err != nil && !errors.Is(err, io.EOF) { // after io.EOF, receive returns the cause
		return nil, streamError(ctx, err)
	}
	message, err := s.receive(streamCtx)
	if err == nil {
		// The plugin closes the stream after its finish. Give it time to do so.
		timer := time.AfterFunc(c.Grace, closeStream)
		_, _ = stream.Recv()
		timer.Stop()
	}
	closeStream() // unblocks handlers that wait to send their reply
	endCalls()
	s.workers.Wait()
	if ctx.Err() != nil {
		return nil, wire.AsError(ctx.Err())
	}
	return message, err
}

// streamError returns the error of a broken stream. If the plugin crashed, the error wraps
// ErrPluginCrashed. A loop may also return CodePluginCrashed, because a provider crashed, and that
// error does not wrap ErrPluginCrashed.
func streamError(ctx context.Context, err error) error {
	err = wire.FromCall(ctx, err)
	if wire.AsError(err).Code == sdk.CodePluginCrashed {
		return fmt.Errorf("%w: %w", ErrPluginCrashed, err)
	}
	return err
}
