package agent_test

import (
	"bytes"
	"context"
	"reflect"
	"testing"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/internal/loopback"
	agentv1 "github.com/agentarea/agentarea/sdk/proto/agent/v1"
)

func TestReadFile(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("\x00\xffx"), agent.MaxRead/3+1)
	c := reach(t, func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
		// The rejected calls get no number, so the next call is the first.
		for _, r := range []agent.FileRange{{Length: agent.MaxRead + 1}, {Offset: -1}, {Length: -1}} {
			if _, err := host.ReadFile(ctx, "file-1", r.Offset, r.Length); code(err) != sdk.CodeInvalidRequest {
				t.Errorf("ReadFile(%+v) error = %v, want code %s", r, err, sdk.CodeInvalidRequest)
			}
		}
		got, err := host.ReadFile(ctx, "file-1", 2, agent.MaxRead)
		if err != nil || !bytes.Equal(got, data[2:2+agent.MaxRead]) {
			t.Errorf("ReadFile() = %d bytes, %v, want the %d bytes from offset 2", len(got), err, agent.MaxRead)
		}
		if got, err := host.ReadFile(ctx, "file-1", int64(len(data)), 10); err != nil || len(got) != 0 {
			t.Errorf("ReadFile() at the end = %q, %v, want no bytes", got, err)
		}
		if _, err := host.ReadFile(ctx, "file-2", 0, 10); code(err) != sdk.CodeNotFound {
			t.Errorf("ReadFile() of an unknown file: error = %v, want code %s", err, sdk.CodeNotFound)
		}
		return say("read"), nil
	})
	_, err := c.Run(t.Context(), &agent.Run{}, handler(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		r := c.ReadFile
		if r.FileID != "file-1" {
			return nil, &sdk.Error{Code: sdk.CodeNotFound}
		}
		if c.Number == 1 && *r != (agent.FileRange{FileID: "file-1", Offset: 2, Length: agent.MaxRead}) {
			t.Errorf("the handler received %+v, want 4 MiB from offset 2", r)
		}
		return &agent.Result{Data: data[r.Offset:min(r.Offset+r.Length, int64(len(data)))]}, nil
	}))
	if err != nil {
		t.Error(err)
	}
}

// The limit also applies to a plugin that does not use this SDK.
func TestReadFile_hostEnforcesLimit(t *testing.T) {
	t.Parallel()
	c := agent.NewClient(loopback.Connect(t, func(s *grpc.Server) {
		agentv1.RegisterAgentServiceServer(s, greedy{})
	}))
	_, err := c.Run(t.Context(), &agent.Run{}, noCalls)
	if code(err) != sdk.CodeInvalidRequest {
		t.Errorf("Run() error = %v, want code %s", err, sdk.CodeInvalidRequest)
	}
}

// greedy reads more than MaxRead bytes at once, and ends the run with the error of the call.
type greedy struct {
	agentv1.UnimplementedAgentServiceServer
}

func (greedy) Run(stream agentv1.AgentService_RunServer) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	err := stream.Send(&agentv1.RunResponse{Message: &agentv1.RunResponse_Call{Call: &agentv1.Call{
		Number: 1, Request: &agentv1.Call_ReadFile{ReadFile: &agentv1.ReadFile{FileId: "file-1", Length: agent.MaxRead + 1}},
	}}})
	if err != nil {
		return err
	}
	m, err := stream.Recv()
	if err != nil {
		return err
	}
	return stream.Send(&agentv1.RunResponse{Message: &agentv1.RunResponse_Finish{
		Finish: &agentv1.Finish{Error: m.GetReply().GetError()},
	}})
}

// The references to files reach the plugin and return unchanged.
func TestRun_filesInMessages(t *testing.T) {
	t.Parallel()
	named := sdk.Message{Role: sdk.RoleUser, Parts: []sdk.Part{
		{Text: "look"}, {File: &sdk.File{ID: "file-1", Name: "a.txt", MediaType: "text/plain", Size: 1 << 40}},
	}}
	c := reach(t, func(ctx context.Context, run *agent.Run, host agent.Host) (*sdk.Message, error) {
		_, err := host.Complete(ctx, &agent.Completion{Messages: append(run.History, run.Input)})
		return &run.Input, err
	})
	m, err := c.Run(t.Context(), &agent.Run{History: []sdk.Message{named}, Input: named}, handler(
		func(_ context.Context, c *agent.Call) (*agent.Result, error) {
			if !reflect.DeepEqual(c.Complete.Messages, []sdk.Message{named, named}) {
				t.Errorf("the handler received %+v, want twice %+v", c.Complete.Messages, named)
			}
			return &agent.Result{Answer: &agent.Answer{}}, nil
		}))
	if err != nil || !reflect.DeepEqual(m, &named) {
		t.Errorf("Run() = %+v, %v, want %+v", m, err, named)
	}
}
