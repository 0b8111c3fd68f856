package core

import (
	"context"

	"github.com/agentarea/agentarea/sdk"
)

// Turn is what a user says to an agent.
type Turn struct {
	Agent *Agent
	// SessionID is empty for a new session with a generated name.
	SessionID string
	Parts     []sdk.Part
	// Stream says that somebody watches the answer come.
	Stream bool
}

// Runner executes runs. The engine implements it for the API.
type Runner interface {
	// StartTurn stores the turn and begins to execute it; it goes on when ctx
	// ends. It fails with Conflict while another turn of the session is under
	// way, and with Unavailable when the agent's type is down.
	StartTurn(ctx context.Context, v Actor, t Turn) (*Run, error)
	// Wait waits for the end of a run that StartTurn gave, and gives the answer
	// or the run's error as the API shows it.
	Wait(ctx context.Context, run *Run) (*Message, error)
	// Watch gives the run's events with numbers above after. It fails with NotFound.
	Watch(ctx context.Context, v Actor, runID string, after int64) (EventStream, error)
	// Cancel asks a run to end and gives it as it then is. It fails with
	// NotFound, or with Conflict when the run has ended.
	Cancel(ctx context.Context, v Actor, runID string) (*Run, error)
	// WatchTask gives the events of the task's run with numbers above after, once
	// it has one. It fails with NotFound.
	WatchTask(ctx context.Context, v Actor, taskID string, after int64) (EventStream, error)
	// CancelTask ends a task: one that waits at once, one that is running as soon
	// as its run lets go. It gives the task as it then is, and fails with NotFound,
	// or with Conflict when the task has ended.
	CancelTask(ctx context.Context, v Actor, taskID string) (*Task, error)
}
