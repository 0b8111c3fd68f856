package core

import (
	"context"
	"encoding/json"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// TaskStatus is the status of a task.
type TaskStatus string

// The statuses. A task is TaskPending until a server executes it, and again between attempts. The
// last three statuses are final.
const (
	TaskPending   TaskStatus = "pending"
	TaskRunning   TaskStatus = "running"
	TaskCompleted TaskStatus = "completed"
	TaskFailed    TaskStatus = "failed"
	TaskCancelled TaskStatus = "cancelled"
)

// Ended reports whether the status is final.
func (s TaskStatus) Ended() bool { return s != TaskPending && s != TaskRunning }

// TaskPriority orders pending tasks: all tasks with a high priority start before those with a lower
// one.
type TaskPriority int

// The priorities.
const (
	PriorityHigh   TaskPriority = 1
	PriorityMedium TaskPriority = 2
	PriorityLow    TaskPriority = 3
)

// String returns the name of the priority: high, medium or low.
func (p TaskPriority) String() string {
	switch p {
	case PriorityHigh:
		return "high"
	case PriorityLow:
		return "low"
	default:
		return "medium"
	}
}

// Task is background work for an agent. It is executed as one run. Each attempt continues from the
// recorded calls of the earlier ones.
type Task struct {
	ID          string
	UserID      string
	AgentID     string
	Title       string
	Description string
	Priority    TaskPriority
	// Data is a JSON object for the agent. It can be nil.
	Data json.RawMessage
	// Input is the message to the agent. It contains the title, description, data and files.
	Input  []sdk.Part
	Status TaskStatus
	// Result is a JSON object with the agent's final message. It is nil unless the task is completed.
	Result json.RawMessage
	// Error is the error of the last failed attempt. It is nil if no attempt failed.
	Error *sdk.Error
	// Attempts counts the attempts. An attempt that resumes after a crash is not counted.
	Attempts    int
	MaxAttempts int
	// Timeout limits the duration of an attempt. If it is 0, the timeout of the agent applies.
	Timeout time.Duration
	// RunID is empty until the first attempt.
	RunID string
	// RunAt is the earliest time of the next attempt.
	RunAt     time.Time
	CreatedAt time.Time
	UpdatedAt time.Time
	// StartedAt and EndedAt are zero until the task has started and ended.
	StartedAt time.Time
	EndedAt   time.Time

	// Usage, Steps and Step describe the recorded calls of the run. They are read with a task and
	// never stored with it. Step is the kind of the newest call.
	Usage sdk.Usage
	Steps int
	Step  CallKind
	// QueuePosition is the result of TaskStore.QueuePosition, if it was read with the task.
	QueuePosition int
}

// TaskRequest describes a new task. Its fields are those of Task.
type TaskRequest struct {
	AgentID     string
	Title       string
	Description string
	Priority    TaskPriority
	Data        json.RawMessage
	// FileIDs are the ids of the files to attach.
	FileIDs     []string
	Timeout     time.Duration
	MaxAttempts int
}

// TaskFilter selects tasks. Empty fields match all tasks.
type TaskFilter struct {
	Status   TaskStatus
	AgentID  string
	Priority TaskPriority
	Page
}

// TaskEnd contains the changes to the run's task that EndRun stores.
type TaskEnd struct {
	ID     string
	Status TaskStatus
	Result json.RawMessage
	Error  *sdk.Error
}

// TaskStore stores tasks. Actors see their own tasks, admins all tasks. Each method that writes is
// one durable transaction.
type TaskStore interface {
	// CreateTask stores a pending task and its job in the queue. It fails with PayloadTooLarge beyond
	// ObjectLimits.DatabaseBytes.
	CreateTask(ctx context.Context, audit *AuditRecord, t *Task) error
	// Task returns the task with the given id. It fails with NotFound.
	Task(ctx context.Context, actor Actor, id string) (*Task, error)
	// Tasks returns a page of the matching tasks, newest first, and the number of all matches.
	Tasks(ctx context.Context, actor Actor, f TaskFilter) ([]*Task, int, error)
	// CancelTask ends a pending task. If the task is running, it only requests the cancellation of
	// the run. It returns the updated task. It fails with NotFound, or with Conflict if the task has
	// ended.
	CancelTask(ctx context.Context, audit *AuditRecord, actor Actor, id string, now time.Time) (*Task, error)

	// NextTask returns the task to execute next, or nil if no task is due. It skips the tasks of the
	// users in except. It chooses the highest priority first, then the user whose last task started
	// longest ago.
	NextTask(ctx context.Context, now time.Time, except []string) (*Task, error)
	// QueuePosition returns the position of a pending task among the tasks that are due: 1 for the task
	// that starts next. It returns 0 for a task that is not due.
	QueuePosition(ctx context.Context, t *Task, now time.Time) (int, error)
	// ResumeTask starts another attempt of a pending task that has a run, with owner as the owner of
	// the run. It fails with Conflict if the task is no longer pending.
	ResumeTask(ctx context.Context, t *Task, owner string, now time.Time) (*Run, error)
	// DeferTask makes a running task pending until at, after an attempt failed, and removes the owner
	// of its run. It deletes the failed calls at the end of the run's record, so that the next
	// attempt repeats them. It fails with Conflict as RecordCall does.
	DeferTask(ctx context.Context, run *Run, at time.Time, failure *sdk.Error) error
	// FailTask ends a pending task that cannot be started. It fails with Conflict if the task is no
	// longer pending.
	FailTask(ctx context.Context, id string, now time.Time, failure *sdk.Error) error
}

// TaskBacklog is the number of pending tasks of all users with one priority.
type TaskBacklog struct {
	Priority TaskPriority
	// Deferred reports whether the tasks wait for the time of their next attempt. The others wait for
	// a free server.
	Deferred bool
	Tasks    int
}

// TaskQueue calls workers when tasks are due.
type TaskQueue interface {
	// Work calls do whenever a task may be due, in at most slots goroutines at once. stop prevents
	// further calls and waits for the active ones. When its ctx is done, it cancels their contexts. Work
	// fails with Unavailable if the database is busy or slow; it has then stopped and can be called again.
	Work(slots int, do func(ctx context.Context)) (stop func(ctx context.Context) error, err error)
}
