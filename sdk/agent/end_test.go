package agent_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/internal/loopback"
	agentv1 "github.com/agentarea/agentarea/sdk/proto/agent/v1"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

// busy is a loop that waits in a call, and tells how the call and it ended.
func busy(ended chan<- error) loop {
	return func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
		// Even a call with a context of its own ends with the run.
		_, err := host.ListTools(context.WithoutCancel(ctx))
		<-ctx.Done()
		ended <- err
		return say("half an answer"), nil
	}
}

func TestCancelInACall(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	handled := false
	m, err := reach(t, busy(ended)).Run(ctx, &agent.Run{}, handler(func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
		cancel()
		<-ctx.Done()
		handled = true
		return nil, ctx.Err()
	}))
	if m != nil || code(err) != sdk.CodeCancelled {
		t.Errorf("%+v, %v", m, err)
	}
	if !handled {
		t.Error("Run did not wait for its handler")
	}
	if err := <-ended; err == nil {
		t.Error("the call was answered")
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := reach(t, busy(ended)).Run(ctx, &agent.Run{}, handler(func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	if code(err) != sdk.CodeTimeout {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("the call was answered")
	}
}

// A loop that does not listen loses its stream after the grace.
func TestGrace(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	c := reach(t, func(context.Context, *agent.Run, agent.Host) (*sdk.Message, error) {
		cancel()
		<-release
		return say(""), nil
	})
	c.Grace = 20 * time.Millisecond
	if _, err := c.Run(ctx, &agent.Run{}, noCalls); code(err) != sdk.CodeCancelled {
		t.Error(err)
	}
	close(release)
}

func TestEndedBeforeItBegan(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := reach(t, func(ctx context.Context, _ *agent.Run, _ agent.Host) (*sdk.Message, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	if _, err := c.Run(ctx, &agent.Run{}, noCalls); code(err) != sdk.CodeCancelled {
		t.Error(err)
	}
}

// The plugin dies while the host works for it.
func TestPluginDies(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	cc, server := loopback.Serve(t, func(s *grpc.Server) { agent.Register(s, busy(ended)) })
	_, err := agent.NewClient(cc).Run(t.Context(), &agent.Run{}, handler(func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
		server.Stop()
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	if code(err) != sdk.CodePluginCrashed || !sdk.AsError(err).Retryable {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("the call was answered")
	}
}

// It dies while more calls wait than are handled at once.
func TestPluginDiesWithCallsWaiting(t *testing.T) {
	t.Parallel()
	cc, server := loopback.Serve(t, func(s *grpc.Server) {
		agent.Register(s, loop(func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
			_, err := host.CallTools(ctx, make([]sdk.ToolCall, 100))
			return nil, err
		}))
	})
	_, err := agent.NewClient(cc).Run(t.Context(), &agent.Run{}, handler(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		if c.Number == 1 {
			server.Stop()
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	if code(err) != sdk.CodePluginCrashed {
		t.Error(err)
	}
}

// The host goes while the plugin waits for it.
func TestHostGoes(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	cc := loopback.Connect(t, func(s *grpc.Server) { agent.Register(s, busy(ended)) })
	_, err := agent.NewClient(cc).Run(t.Context(), &agent.Run{}, handler(func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
		_ = cc.Close()
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	if code(err) != sdk.CodePluginCrashed {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("the call was answered")
	}
}

// raw is a plugin that does not keep to the protocol.
type raw struct {
	agentv1.UnimplementedAgentServiceServer
	say []*agentv1.RunResponse
}

func (r raw) Run(stream agentv1.AgentService_RunServer) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	for _, m := range r.say {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	if len(r.say) > 0 {
		<-stream.Context().Done() // the host must not wait for more
	}
	return nil
}

func listTools(number uint64) *agentv1.RunResponse {
	return &agentv1.RunResponse{Message: &agentv1.RunResponse_Call{Call: &agentv1.Call{
		Number: number, Request: &agentv1.Call_ListTools{ListTools: &agentv1.ListTools{}},
	}}}
}

func TestBrokenProtocol(t *testing.T) {
	t.Parallel()
	var flood []*agentv1.RunResponse
	for i := range uint64(2000) {
		flood = append(flood, listTools(i+1))
	}
	for name, say := range map[string][]*agentv1.RunResponse{
		"no finish":        nil,
		"begins at 2":      {listTools(2)},
		"begins at 0":      {listTools(0)},
		"a number twice":   {listTools(1), listTools(1)},
		"a gap":            {listTools(1), listTools(3)},
		"an empty message": {{}},
		"an empty call":    {{Message: &agentv1.RunResponse_Call{Call: &agentv1.Call{Number: 1}}}},
		"a flood of calls": flood,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := agent.NewClient(loopback.Connect(t, func(s *grpc.Server) { agentv1.RegisterAgentServiceServer(s, raw{say: say}) }))
			_, err := c.Run(t.Context(), &agent.Run{}, handler(func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}))
			if code(err) != sdk.CodeInternal {
				t.Error(err)
			}
		})
	}
}

// A plugin that finishes and then hangs does not hold its run.
func TestHangsAfterFinish(t *testing.T) {
	t.Parallel()
	finish := &agentv1.RunResponse{Message: &agentv1.RunResponse_Finish{Finish: &agentv1.Finish{
		Message: &basev1.Message{Parts: []*basev1.Part{{Content: &basev1.Part_Text{Text: "done"}}}},
	}}}
	c := agent.NewClient(loopback.Connect(t, func(s *grpc.Server) {
		agentv1.RegisterAgentServiceServer(s, raw{say: []*agentv1.RunResponse{finish}})
	}))
	c.Grace = 20 * time.Millisecond
	if m, err := c.Run(t.Context(), &agent.Run{}, noCalls); err != nil || m.Text() != "done" {
		t.Errorf("%+v, %v", m, err)
	}
}

// What a host in no order sends must not hurt the plugin.
func TestBrokenHost(t *testing.T) {
	t.Parallel()
	cc := loopback.Connect(t, func(s *grpc.Server) {
		agent.Register(s, loop(func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
			_, err := host.Complete(ctx, &agent.Completion{})
			return nil, err
		}))
	})
	open := func(ms ...*agentv1.RunRequest) (agentv1.AgentService_RunClient, error) {
		stream, err := agentv1.NewAgentServiceClient(cc).Run(t.Context())
		for _, m := range ms {
			err = errors.Join(err, stream.Send(m))
		}
		return stream, err
	}
	reply := func(number uint64) *agentv1.RunRequest {
		return &agentv1.RunRequest{Message: &agentv1.RunRequest_Reply{Reply: &agentv1.Reply{
			Number: number, Result: &agentv1.Reply_ToolList{ToolList: &agentv1.ToolList{}},
		}}}
	}
	start := &agentv1.RunRequest{Message: &agentv1.RunRequest_Start{Start: &agentv1.Start{}}}

	stream, err := open(reply(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err == nil {
		t.Error("a run without a start began")
	}

	stray := &agentv1.RunRequest{Message: &agentv1.RunRequest_Delta{Delta: &agentv1.Delta{Number: 9}}}
	if stream, err = open(start, reply(9), stray, &agentv1.RunRequest{}); err != nil {
		t.Fatal(err)
	}
	if m, err := stream.Recv(); err != nil || m.GetCall().GetNumber() != 1 {
		t.Fatal(m, err)
	}
	if err := stream.Send(reply(1)); err != nil { // a list of tools for a completion
		t.Fatal(err)
	}
	m, err := stream.Recv()
	if err != nil || m.GetFinish().GetError().GetCode() != string(sdk.CodeInternal) {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := stream.Recv(); err == nil {
		t.Error("the stream goes on after its finish")
	}
}
