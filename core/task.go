package core

import (
	"context"
	"encoding/json"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// TaskStatus is where a task stands.
type TaskStatus string

// The statuses. A task is Pending until a server works on it, and again between
// its attempts; the last three are final.
const (
	TaskPending   TaskStatus = "pending"
	TaskRunning   TaskStatus = "running"
	TaskCompleted TaskStatus = "completed"
	TaskFailed    TaskStatus = "failed"
	TaskCancelled TaskStatus = "cancelled"
)

// Ended says whether the task will not change any more.
func (s TaskStatus) Ended() bool { return s != TaskPending && s != TaskRunning }

// TaskPriority orders what waits: all that is High goes before anything Medium.
type TaskPriority int

// The priorities.
const (
	PriorityHigh   TaskPriority = 1
	PriorityMedium TaskPriority = 2
	PriorityLow    TaskPriority = 3
)

// Task is work for an agent that nobody waits for. It is executed as one run,
// whose recorded steps every attempt goes on from.
type Task struct {
	ID          string
	UserID      string
	AgentID     string
	Title       string
	Description string
	Priority    TaskPriority
	// Data is a JSON object for the agent; nil for none.
	Data json.RawMessage
	// Input is the message that the agent gets: title, description, data and files.
	Input  []sdk.Part
	Status TaskStatus
	// Result is a JSON object with the agent's final message; nil until Completed.
	Result json.RawMessage
	// Error is why the last attempt failed; nil unless one did.
	Error *sdk.Error
	// Attempts counts the times that the work was begun, but for those after a crash.
	Attempts    int
	MaxAttempts int
	// Timeout is how long an attempt may take; 0 is the agent's own.
	Timeout time.Duration
	// RunID is empty until the first attempt.
	RunID string
	// IdempotencyKey, if not empty, makes a second creation by the same user give
	// this task. RequestHash tells another request by the same key.
	IdempotencyKey string
	RequestHash    []byte
	// RunAt is when the next attempt may begin.
	RunAt     time.Time
	CreatedAt time.Time
	UpdatedAt time.Time
	// StartedAt and EndedAt are zero until the task is.
	StartedAt time.Time
	EndedAt   time.Time

	// Usage, Steps and Step are of the run, as far as it is recorded; they are read
	// with a task and never stored with it. Step is the kind of the newest call.
	Usage sdk.Usage
	Steps int
	Step  CallKind
}

// TaskFilter picks tasks. Empty fields pick all.
type TaskFilter struct {
	Status   TaskStatus
	AgentID  string
	Priority TaskPriority
	Page
}

// TaskEnd is what EndRun stores of the run's task.
type TaskEnd struct {
	ID     string
	Status TaskStatus
	Result json.RawMessage
	Error  *sdk.Error
}

// IdempotencyKeyTTL is how long an idempotency key names its task.
const IdempotencyKeyTTL = 24 * time.Hour

// TaskStore keeps tasks. A viewer sees the own ones, an admin all. Each method is
// one durable transaction.
type TaskStore interface {
	// CreateTask stores a pending task with its entry in the queue. When the user
	// has made one by the same idempotency key in the last 24 hours it gives that
	// one, and fails with Conflict if the request was another.
	CreateTask(ctx context.Context, t *Task) (stored *Task, err error)
	// Task fails with NotFound.
	Task(ctx context.Context, v Actor, id string) (*Task, error)
	// Tasks lists newest first, with the count of all that match.
	Tasks(ctx context.Context, v Actor, f TaskFilter) ([]*Task, int, error)
	// CancelTask ends a task that waits. Of one that is running it only asks the
	// run to end. It gives the task as it then is, and fails with NotFound, or with
	// Conflict when the task has ended.
	CancelTask(ctx context.Context, v Actor, id string, now time.Time) (*Task, error)

	// NextTask gives the task that is to be worked on next, nil when none waits:
	// one of the highest priority, of the user who was served the longest ago.
	NextTask(ctx context.Context, now time.Time) (*Task, error)
	// ResumeTask makes a task that waits, and has a run, running again, and owner
	// the run's. It fails with Conflict when the task does not wait any more.
	ResumeTask(ctx context.Context, t *Task, owner string, now time.Time) (*Run, error)
	// DeferTask makes a running task wait until at, after a failure, and lets its
	// run go. The run's last calls that failed are forgotten, to be made again. It
	// fails with Conflict as RecordCall does.
	DeferTask(ctx context.Context, run *Run, at time.Time, failure *sdk.Error) error
	// FailTask ends a task that waits and can't begin. It fails with Conflict when
	// the task does not wait any more.
	FailTask(ctx context.Context, id string, now time.Time, failure *sdk.Error) error
}

// TaskBacklog counts tasks that wait, of all users.
type TaskBacklog struct {
	Priority TaskPriority
	// Deferred ones wait for the time of another attempt; the others for a server.
	Deferred bool
	Tasks    int
}

// TaskQueue says when there is work.
type TaskQueue interface {
	// Work calls do, slots at once at the most, whenever a task may be waiting. stop
	// takes no more, waits for those under way until ctx ends, and then ends theirs.
	Work(slots int, do func(ctx context.Context)) (stop func(ctx context.Context) error, err error)
}
