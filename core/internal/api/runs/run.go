// Package runs serves the runs of agents and their events.
package runs

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// Store reads runs.
type Store interface {
	// Run fails with NotFound if the actor may not see the run.
	Run(ctx context.Context, v core.Actor, id string) (*core.Run, error)
}

// Runner watches and cancels runs.
type Runner interface {
	// Watch returns the events of a run after a number. It fails with NotFound.
	Watch(ctx context.Context, v core.Actor, id string, after int64) (core.EventStream, error)
	// Cancel fails with NotFound, or with Conflict if the run has ended.
	Cancel(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string) (*core.Run, error)
}

type run struct {
	ID              string         `json:"id"`
	Kind            core.RunKind   `json:"kind" enum:"chat,task"`
	Status          core.RunStatus `json:"status" enum:"running,completed,failed,cancelled,interrupted"`
	AgentID         string         `json:"agent_id"`
	UserID          string         `json:"user_id"`
	SessionID       string         `json:"session_id,omitempty"`
	TaskID          string         `json:"task_id,omitempty"`
	InputID         string         `json:"input_message_id"`
	MessageID       string         `json:"message_id,omitempty" doc:"The answer, once the run has one"`
	Model           string         `json:"model,omitempty"`
	Usage           api.Usage      `json:"usage"`
	Attempt         int            `json:"attempt" doc:"How often the run was started: once, and again after each crash"`
	CancelRequested bool           `json:"cancel_requested"`
	Error           *api.RunError  `json:"error,omitempty" doc:"Why the run failed"`
	CreatedAt       api.Time       `json:"created_at"`
	EndedAt         *api.Time      `json:"ended_at,omitempty"`
}

type (
	runInput struct {
		ID string `path:"run_id"`
	}
	runOutput   struct{ Body run }
	eventsInput struct {
		ID          string `path:"run_id"`
		LastEventID string `header:"Last-Event-ID" doc:"The id of the last event you received. Takes precedence over after"`
		After       int64  `query:"after" minimum:"0" default:"0" doc:"Return events with ids above this one"`
	}
)

var exampleRun = run{
	ID: "run-123", Kind: core.RunChat, Status: core.RunCompleted,
	AgentID: "agent-123", UserID: "user-456", SessionID: "session-123",
	InputID: "msg-455", MessageID: "msg-456", Model: "gpt-4",
	Usage: api.Usage{InputTokens: 120, OutputTokens: 30}, Attempt: 1,
	CreatedAt: api.ExampleTime, EndedAt: &api.ExampleTime,
}

// scopes describes the scopes of API keys for all operations of the group.
const scopes = " An API key needs the scope chat for a chat turn, and the scope tasks for the run of a task."

// find returns a run. It fails with NotFound, or with Forbidden if the scopes of the API key do not cover
// the run.
func find(ctx context.Context, store Store, id string, write bool) (*core.Run, error) {
	r, err := store.Run(ctx, api.Actor(ctx), id)
	if err != nil {
		return nil, err
	}
	resource := core.ResourceChat
	if r.Kind == core.RunTask {
		resource = core.ResourceTasks
	}
	return r, api.RequireScope(ctx, resource, write)
}

// checkScope fails as find does. It reads the run only for an API key that is restricted.
func checkScope(ctx context.Context, store Store, id string, write bool) error {
	if api.Allows(ctx, core.ResourceChat, write) && api.Allows(ctx, core.ResourceTasks, write) {
		return nil
	}
	_, err := find(ctx, store, id, write)
	return err
}

// Register adds the operations of the group.
func Register(a *api.API, store Store, runner Runner) {
	api.Register(a, api.Operation{
		ID: "get-run", Method: http.MethodGet, Path: "/v1/runs/{run_id}",
		Tag: "Runs", Summary: "Get a run", Access: api.SignedIn,
		Description: "A chat turn is a run. Its id is in the start event and in the metadata of the reply." + scopes,
		Response:    exampleRun,
		AnyKey:      true, Errors: []core.Code{core.CodeForbidden},
	}, func(ctx context.Context, in *runInput) (*runOutput, error) {
		return newRunOutput(find(ctx, store, in.ID, false))
	})
	api.Register(a, api.Operation{
		ID: "run-events", Method: http.MethodGet, Path: "/v1/runs/{run_id}/events",
		Tag: "Runs", Summary: "Watch a run", Access: api.SignedIn,
		Description: "Streams the events of the run, from the first one or after the last one you received, until " +
			"the run ends." + scopes + " Without files:read, the arguments and results of the tools for files are hidden.",
		Stream: api.ExampleStream, AnyKey: true, Errors: []core.Code{core.CodeForbidden},
	}, func(ctx context.Context, in *eventsInput) (*huma.StreamResponse, error) {
		after, err := api.LastEventID(in.LastEventID, in.After)
		if err != nil {
			return nil, err
		}
		if err := checkScope(ctx, store, in.ID, false); err != nil {
			return nil, err
		}
		events, err := runner.Watch(ctx, api.Actor(ctx), in.ID, after)
		if err != nil {
			return nil, err
		}
		if !api.Allows(ctx, core.ResourceFiles, false) {
			events = withoutFiles{events}
		}
		return a.Stream(ctx, events), nil
	})
	api.RegisterRepeatable(a, api.Operation{
		ID: "cancel-run", Method: http.MethodPost, Path: "/v1/runs/{run_id}/cancel",
		Tag: "Runs", Summary: "Cancel a run", Access: api.Writer,
		Description: "Requests the end of the run, which takes a moment, and returns its present state. If the run has " +
			"ended already, the request fails with 409." + scopes,
		Response: exampleCancelled(), AnyKey: true, Errors: []core.Code{core.CodeConflict},
	}, func(ctx context.Context, in *runInput) (*runOutput, error) {
		if err := checkScope(ctx, store, in.ID, true); err != nil {
			return nil, err
		}
		return newRunOutput(runner.Cancel(ctx, api.Audit(ctx), api.Actor(ctx), in.ID))
	}, func(ctx context.Context, in *runInput, _ string) (*runOutput, error) {
		return newRunOutput(find(ctx, store, in.ID, true))
	})
}

func exampleCancelled() run {
	r := exampleRun
	r.Status, r.MessageID, r.EndedAt, r.CancelRequested = core.RunRunning, "", nil, true
	return r
}

func newRunOutput(r *core.Run, err error) (*runOutput, error) {
	if err != nil {
		return nil, err
	}
	return &runOutput{Body: run{
		ID: r.ID, Kind: r.Kind, Status: r.Status, AgentID: r.AgentID, UserID: r.UserID, SessionID: r.SessionID,
		InputID: r.InputID, MessageID: r.AnswerID, Model: r.Model, Attempt: r.Attempt, CancelRequested: r.CancelRequested,
		Usage: api.NewUsage(r.Usage), Error: api.NewRunError(r.Error, r.ID), TaskID: r.TaskID,
		CreatedAt: api.Time(r.CreatedAt), EndedAt: api.OptionalTime(r.EndedAt),
	}}, nil
}
