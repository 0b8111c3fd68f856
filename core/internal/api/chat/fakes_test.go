package chat

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
	"github.com/agentarea/agentarea/sdk"
)

// testEnv is the API over fakes in memory.
type testEnv struct {
	*apitest.Server
	*runner
	agents   apitest.Agents
	files    apitest.Files
	messages messages
}

func newEnv(t *testing.T) *testEnv {
	t.Helper()
	env := &testEnv{Server: apitest.New(t), runner: &runner{}, agents: apitest.Agents{}, files: apitest.Files{}}
	Register(env.API, Options{Agents: env.agents, Files: env.files, Messages: &env.messages, Runner: env.runner})
	return env
}

type messages []*core.Message

func (m *messages) Messages(_ context.Context, f core.MessageFilter) ([]*core.Message, bool, error) {
	var found []*core.Message
	for _, x := range *m {
		if x.AgentID == f.AgentID && x.UserID == f.UserID && (f.SessionID == "" || x.SessionID == f.SessionID) &&
			(f.Before.IsZero() || x.CreatedAt.Before(f.Before)) {
			found = append(found, x)
		}
	}
	return found[max(0, len(found)-f.Limit):], len(found) > f.Limit, nil
}

// runner is a Runner that records turns. events is the result of Watch, and answer or waitErr that of
// Wait.
type runner struct {
	turns   []core.Turn
	events  func(ctx context.Context, after int64) core.EventStream
	answer  []sdk.Part
	waitErr error
}

func (r *runner) StartTurn(_ context.Context, audit *core.AuditRecord, v core.Actor, t core.Turn) (*core.Run, error) {
	if t.SessionID == "busy" {
		return nil, core.Conflict("Session %q is busy", t.SessionID)
	}
	if t.SessionID == "" {
		t.SessionID = "session-new"
	}
	r.turns = append(r.turns, t)
	audit.Claim()
	return &core.Run{
		ID: core.NewID("run"), Kind: core.RunChat, Status: core.RunRunning, AgentID: t.Agent.ID, UserID: v.UserID,
		SessionID: t.SessionID, CreatedAt: time.Now(), Attempt: 1,
	}, nil
}

func (r *runner) Wait(_ context.Context, run *core.Run) (*core.Message, error) {
	if r.waitErr != nil {
		return nil, r.waitErr
	}
	parts := r.answer
	if parts == nil {
		parts = []sdk.Part{{Text: "<Hello> & "}, {Text: "welcome"}}
	}
	return &core.Message{
		ID: "msg-456", SessionID: run.SessionID, Role: sdk.RoleAssistant, Parts: parts,
		CreatedAt: time.Date(2025, 1, 2, 3, 4, 5, 6000, time.FixedZone("", 3600)),
		Metadata:  json.RawMessage(`{"model":"gpt-4","tokens_used":150,"run_id":"` + run.ID + `"}`),
	}, nil
}

func (r *runner) Watch(ctx context.Context, _ core.Actor, _ string, after int64) (core.EventStream, error) {
	return r.events(ctx, after), nil
}
