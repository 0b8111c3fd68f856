package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

type run struct {
	ID              string         `json:"id"`
	Kind            core.RunKind   `json:"kind" enum:"chat,task"`
	Status          core.RunStatus `json:"status" enum:"running,waiting_approval,completed,failed,cancelled,interrupted"`
	AgentID         string         `json:"agent_id"`
	UserID          string         `json:"user_id"`
	SessionID       string         `json:"session_id,omitempty"`
	TaskID          string         `json:"task_id,omitempty"`
	InputID         string         `json:"input_message_id"`
	MessageID       string         `json:"message_id,omitempty" doc:"The answer, once there is one"`
	Model           string         `json:"model,omitempty"`
	Usage           usage          `json:"usage"`
	Attempt         int            `json:"attempt" doc:"How often it was started: once, and again after each crash"`
	CancelRequested bool           `json:"cancel_requested"`
	Error           *runError      `json:"error,omitempty" doc:"Why it failed"`
	CreatedAt       stamp          `json:"created_at"`
	EndedAt         *stamp         `json:"ended_at,omitempty"`
}

type usage struct {
	InputTokens  int64 `json:"input_tokens"`
	OutputTokens int64 `json:"output_tokens"`
}

type runError struct {
	Code      sdk.ErrorCode `json:"code" doc:"rate_limited, unavailable, timeout, plugin_crashed and others"`
	Message   string        `json:"message"`
	Retryable bool          `json:"retryable" doc:"The same message may succeed later"`
}

type (
	runInput struct {
		ID string `path:"run_id"`
	}
	runOutput   struct{ Body run }
	eventsInput struct {
		ID          string `path:"run_id"`
		LastEventID string `header:"Last-Event-ID" doc:"The id of the last event that arrived; goes before after"`
		After       int64  `query:"after" minimum:"0" default:"0" doc:"Events with ids above this one"`
	}
)

var exampleRun = run{
	ID: "run-123", Kind: core.RunChat, Status: core.RunCompleted, AgentID: "agent-123", UserID: "user-456", SessionID: "session-123",
	InputID: "msg-455", MessageID: "msg-456", Model: "gpt-4", Usage: usage{InputTokens: 120, OutputTokens: 30}, Attempt: 1,
	CreatedAt: exampleTime, EndedAt: &exampleTime,
}

func (a *api) registerRuns() {
	register(a, operation{
		id: "get-run", method: http.MethodGet, path: "/v1/runs/{run_id}", tag: "Runs", summary: "Get a run", access: signedIn,
		about: "A chat turn is a run; its id is in the start event and in the reply's metadata.", response: exampleRun,
	}, func(ctx context.Context, in *runInput) (*runOutput, error) {
		return runReply(a.runs.Run(ctx, actor(ctx), in.ID))
	})
	register(a, operation{
		id: "run-events", method: http.MethodGet, path: "/v1/runs/{run_id}/events", tag: "Runs", summary: "Watch a run", access: signedIn,
		about:  "Gives the run's events from the first one, or from after the last one that arrived, until it ends.",
		stream: exampleStream,
	}, a.runEvents)
	register(a, operation{
		id: "cancel-run", method: http.MethodPost, path: "/v1/runs/{run_id}/cancel", tag: "Runs", summary: "Cancel a run", access: writer,
		about: "Asks the run to end, which takes a moment, and gives it as it now is. A run that has ended is 409.", response: exampleCancelled(),
		errors: []core.Code{core.CodeConflict},
	}, func(ctx context.Context, in *runInput) (*runOutput, error) {
		return runReply(a.runner.Cancel(ctx, actor(ctx), in.ID))
	})
}

func exampleCancelled() run {
	r := exampleRun
	r.Status, r.MessageID, r.EndedAt, r.CancelRequested = core.RunRunning, "", nil, true
	return r
}

func (a *api) runEvents(ctx context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	after, err := lastEvent(in.LastEventID, in.After)
	if err != nil {
		return nil, err
	}
	events, err := a.runner.Watch(ctx, actor(ctx), in.ID, after)
	if err != nil {
		return nil, err
	}
	return a.stream(ctx, events), nil
}

// lastEvent is the number that a watcher goes on after.
func lastEvent(header string, after int64) (int64, error) {
	if header == "" {
		return after, nil
	}
	n, err := strconv.ParseInt(header, 10, 64)
	if err != nil || n < 0 {
		return 0, core.Invalid("Last-Event-ID", "Must be the id of an event, like 17")
	}
	return n, nil
}

func runReply(r *core.Run, err error) (*runOutput, error) {
	if err != nil {
		return nil, err
	}
	b := run{
		ID: r.ID, Kind: r.Kind, Status: r.Status, AgentID: r.AgentID, UserID: r.UserID, SessionID: r.SessionID,
		InputID: r.InputID, MessageID: r.AnswerID, Model: r.Model, Attempt: r.Attempt, CancelRequested: r.CancelRequested,
		Usage: usageBody(r.Usage), Error: errorBody(r.Error), TaskID: r.TaskID,
		CreatedAt: stamp(r.CreatedAt), EndedAt: stampOrNil(r.EndedAt),
	}
	return &runOutput{Body: b}, nil
}

func errorBody(e *sdk.Error) *runError {
	if e == nil {
		return nil
	}
	b := &runError{Code: e.Code, Message: e.Message, Retryable: e.Retryable}
	if e.Code == sdk.CodeInternal {
		b.Message = "Internal error" // its words are for the log
	}
	return b
}
