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

// busy returns a loop that waits in a call until the run ends, and sends the error of the call to ended.
func busy(ended chan<- error) loop {
	return func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
		// A call ends with the run even if its own context does not.
		_, err := host.ListTools(context.WithoutCancel(ctx))
		<-ctx.Done()
		ended <- err
		return say("half an answer"), nil
	}
}

func TestRun_cancelledDuringCall(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	handled := false
	m, err := reach(t, busy(ended)).Run(ctx, &agent.Run{},
		handler(func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
			cancel()
			<-ctx.Done()
			handled = true
			return nil, ctx.Err()
		}))
	if m != nil || code(err) != sdk.CodeCancelled {
		t.Errorf("Run() = %+v, %v, want no answer and code %s", m, err, sdk.CodeCancelled)
	}
	if !handled {
		t.Error("Run returned before its handler")
	}
	if err := <-ended; err == nil {
		t.Error("the call succeeded, want an error")
	}
}

func TestRun_deadline(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := reach(t, busy(ended)).Run(ctx, &agent.Run{},
		handler(func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}))
	if code(err) != sdk.CodeTimeout {
		t.Errorf("Run() error = %v, want code %s", err, sdk.CodeTimeout)
	}
	if err := <-ended; err == nil {
		t.Error("the call succeeded, want an error")
	}
}

// A loop that ignores the cancellation loses its stream after Grace.
func TestRun_grace(t *testing.T) {
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
		t.Errorf("Run() error = %v, want code %s", err, sdk.CodeCancelled)
	}
	close(release)
}

func TestRun_cancelledBeforeStart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := reach(t, func(ctx context.Context, _ *agent.Run, _ agent.Host) (*sdk.Message, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	if _, err := c.Run(ctx, &agent.Run{}, noCalls); code(err) != sdk.CodeCancelled {
		t.Errorf("Run() error = %v, want code %s", err, sdk.CodeCancelled)
	}
}

// The plugin exits while the host handles its call.
func TestRun_pluginExits(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	cc, server := loopback.Serve(t, func(s *grpc.Server) { agent.Register(s, busy(ended)) })
	_, err := agent.NewClient(cc).Run(t.Context(), &agent.Run{},
		handler(func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
			server.Stop()
			<-ctx.Done()
			return nil, ctx.Err()
		}))
	if code(err) != sdk.CodePluginCrashed || !sdk.AsError(err).Retryable {
		t.Errorf("Run() error = %v, want a retryable one with code %s", err, sdk.CodePluginCrashed)
	}
	if err := <-ended; err == nil {
		t.Error("the call succeeded, want an error")
	}
}

// The plugin exits while calls wait for a worker.
func TestRun_pluginExitsWithQueuedCalls(t *testing.T) {
	t.Parallel()
	cc, server := loopback.Serve(t, func(s *grpc.Server) {
		agent.Register(s, loop(func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
			_, err := host.CallTools(ctx, make([]sdk.ToolCall, 100))
			return nil, err
		}))
	})
	_, err := agent.NewClient(cc).Run(t.Context(), &agent.Run{},
		handler(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			if c.Number == 1 {
				server.Stop()
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}))
	if code(err) != sdk.CodePluginCrashed {
		t.Errorf("Run() error = %v, want code %s", err, sdk.CodePluginCrashed)
	}
}

// The host disconnects while the plugin waits for a reply.
func TestRun_hostDisconnects(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	cc := loopback.Connect(t, func(s *grpc.Server) { agent.Register(s, busy(ended)) })
	_, err := agent.NewClient(cc).Run(t.Context(), &agent.Run{},
		handler(func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
			_ = cc.Close()
			<-ctx.Done()
			return nil, ctx.Err()
		}))
	if code(err) != sdk.CodePluginCrashed {
		t.Errorf("Run() error = %v, want code %s", err, sdk.CodePluginCrashed)
	}
	if err := <-ended; err == nil {
		t.Error("the call succeeded, want an error")
	}
}

// raw is a plugin that sends the messages of say, even those that violate the protocol.
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
		<-stream.Context().Done() // the host must close the stream
	}
	return nil
}

func listTools(number uint64) *agentv1.RunResponse {
	return &agentv1.RunResponse{Message: &agentv1.RunResponse_Call{Call: &agentv1.Call{
		Number: number, Request: &agentv1.Call_ListTools{ListTools: &agentv1.ListTools{}},
	}}}
}

func TestRun_pluginViolatesProtocol(t *testing.T) {
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
			c := agent.NewClient(loopback.Connect(t,
				func(s *grpc.Server) { agentv1.RegisterAgentServiceServer(s, raw{say: say}) }))
			_, err := c.Run(t.Context(), &agent.Run{}, handler(func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}))
			if code(err) != sdk.CodeInternal {
				t.Errorf("Run() error = %v, want code %s", err, sdk.CodeInternal)
			}
		})
	}
}

// A plugin that hangs after its finish does not delay the end of the run.
func TestRun_pluginHangsAfterFinish(t *testing.T) {
	t.Parallel()
	finish := &agentv1.RunResponse{Message: &agentv1.RunResponse_Finish{Finish: &agentv1.Finish{
		Message: &basev1.Message{Parts: []*basev1.Part{{Content: &basev1.Part_Text{Text: "done"}}}},
	}}}
	c := agent.NewClient(loopback.Connect(t, func(s *grpc.Server) {
		agentv1.RegisterAgentServiceServer(s, raw{say: []*agentv1.RunResponse{finish}})
	}))
	c.Grace = 20 * time.Millisecond
	if m, err := c.Run(t.Context(), &agent.Run{}, noCalls); err != nil || m.Text() != "done" {
		t.Errorf("Run() = %+v, %v, want the answer %q", m, err, "done")
	}
}

// Messages that a host must not send do not crash the plugin.
func TestRun_hostViolatesProtocol(t *testing.T) {
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
		t.Error("a run without Start succeeded, want an error")
	}

	stray := &agentv1.RunRequest{Message: &agentv1.RunRequest_Delta{Delta: &agentv1.Delta{Number: 9}}}
	if stream, err = open(start, reply(9), stray, &agentv1.RunRequest{}); err != nil {
		t.Fatal(err)
	}
	if m, err := stream.Recv(); err != nil || m.GetCall().GetNumber() != 1 {
		t.Fatalf("got %v, %v, want call 1", m, err)
	}
	if err := stream.Send(reply(1)); err != nil { // a list of tools as the reply to a completion
		t.Fatal(err)
	}
	m, err := stream.Recv()
	if err != nil || m.GetFinish().GetError().GetCode() != string(sdk.CodeInternal) {
		t.Errorf("got %v, %v, want a finish with code %s", m, err, sdk.CodeInternal)
	}
	if _, err := stream.Recv(); err == nil {
		t.Error("got a message after the finish, want the end of the stream")
	}
}
