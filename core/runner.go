package core

import (
	"context"

	"github.com/agentarea/agentarea/sdk"
)

// Turn is a message that a user sends to an agent.
type Turn struct {
	Agent *Agent
	// SessionID is empty for a new session with a generated id.
	SessionID string
	Parts     []sdk.Part
	// Stream reports whether a client is reading the answer while it is generated.
	Stream bool
}

// Runner executes runs. The run engine implements it for the API.
type Runner interface {
	// StartTurn stores the turn and starts its run, which continues after ctx is done. It fails with
	// Conflict while another turn of the session is active, and with Unavailable if the plugin of
	// the agent's type is down.
	StartTurn(ctx context.Context, audit *AuditRecord, actor Actor, t Turn) (*Run, error)
	// Wait waits until a run returned by StartTurn ends. It returns the agent's answer, or the run's
	// error in the form in which the API returns it.
	Wait(ctx context.Context, run *Run) (*Message, error)
	// Watch returns a stream of the run's events whose Seq is greater than after. It fails with
	// NotFound.
	Watch(ctx context.Context, actor Actor, runID string, after int64) (EventStream, error)
	// Cancel requests the cancellation of a run and returns the updated run. It fails with NotFound,
	// or with Conflict if the run has ended.
	Cancel(ctx context.Context, audit *AuditRecord, actor Actor, runID string) (*Run, error)
	// WatchTask returns a stream of the events of the task's run whose Seq is greater than after. It
	// waits until the task has a run. It fails with NotFound.
	WatchTask(ctx context.Context, actor Actor, taskID string, after int64) (EventStream, error)
	// CancelTask ends a pending task immediately, and a running task as soon as its run has stopped. It
	// returns the updated task. It fails with NotFound, or with Conflict if the task has ended.
	CancelTask(ctx context.Context, audit *AuditRecord, actor Actor, taskID string) (*Task, error)
}
