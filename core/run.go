package core

import (
	"context"
	"encoding/json"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// RunStatus is the status of a run.
type RunStatus string

// The statuses. A run is RunRunning until it ends with one of the final statuses. RunInterrupted
// means that crashes interrupted the run too often for another attempt.
const (
	RunRunning         RunStatus = "running"
	RunWaitingApproval RunStatus = "waiting_approval"
	RunCompleted       RunStatus = "completed"
	RunFailed          RunStatus = "failed"
	RunCancelled       RunStatus = "cancelled"
	RunInterrupted     RunStatus = "interrupted"
)

// Ended reports whether the status is final.
func (s RunStatus) Ended() bool {
	return s != RunRunning && s != RunWaitingApproval
}

// RunKind is the kind of request that started a run.
type RunKind string

// The kinds: a chat turn, for whose answer a client waits, and a background task.
const (
	RunChat RunKind = "chat"
	RunTask RunKind = "task"
)

// Run is one execution of an agent. It can take several attempts.
type Run struct {
	ID      string
	Kind    RunKind
	AgentID string
	UserID  string
	// TaskID is empty for a chat turn.
	TaskID string
	// SessionKey and SessionID identify the session of a chat turn.
	SessionKey string
	SessionID  string
	// AgentType and Config are copied from the agent when the run starts. All attempts use them.
	AgentType string
	Config    json.RawMessage
	// AgentOwner is the user who created the agent, and MCPServers are the agent's MCP servers. They
	// are copied like Config. MCPServer.UsableBy decides whether the run may use a server.
	AgentOwner string
	MCPServers []MCPServerRef
	// InputID and AnswerID are message ids. AnswerID is empty until the agent has answered.
	InputID  string
	AnswerID string
	Status   RunStatus
	// Error is the error of a failed run, and nil otherwise.
	Error *sdk.Error
	// Stream reports whether the provider sends the answer in parts.
	Stream bool
	// Seed is passed to the agent, so that its random choices are the same in each attempt.
	Seed uint64
	// Owner is the server that executes the run. It is empty while the run's task waits for another
	// attempt. Attempt counts the attempts. Together they fence off earlier owners and attempts: the
	// store rejects their writes.
	Owner   string
	Attempt int
	// CancelRequested reports whether the cancellation of the run was requested.
	CancelRequested bool
	Usage           sdk.Usage
	Model           string
	CreatedAt       time.Time
	// EndedAt is zero until the run ends.
	EndedAt time.Time
}

// RunMetadata is the metadata of the answer and of the end event of a run, as the API shows it.
type RunMetadata struct {
	Model            string    `json:"model,omitempty"`
	TokensUsed       int64     `json:"tokens_used"`
	RunID            string    `json:"run_id"`
	Status           RunStatus `json:"status"`
	FinishReason     string    `json:"finish_reason,omitempty"`
	Usage            sdk.Usage `json:"usage"`
	HistoryTruncated bool      `json:"history_truncated,omitempty"`
}

// CallKind is the kind of a host call.
type CallKind string

// The kinds of host calls.
const (
	CallComplete  CallKind = "complete"
	CallTool      CallKind = "call_tool"
	CallListTools CallKind = "list_tools"
	CallReadFile  CallKind = "read_file"
)

// Call is one recorded host call of a run.
type Call struct {
	RunID  string
	Number uint64
	Kind   CallKind
	// RequestHash is the SHA-256 hash of the request.
	RequestHash []byte
	// Request is the part of the request that is kept for audits, as JSON: a complete tool call, or a
	// completion without its messages.
	Request json.RawMessage
	// Done reports whether Result or Error is set. A stored call that is not done was interrupted by
	// a crash.
	Done   bool
	Result json.RawMessage
	Error  *sdk.Error
	Model  string
	// ModelID is the model that answered, as label/model. It is stored with the usage and not with the
	// call.
	ModelID string
	Usage   sdk.Usage
	// StartedAt and EndedAt are in UTC. EndedAt is zero until the call is done.
	StartedAt time.Time
	EndedAt   time.Time
}

// RunStart contains the rows that StartRun stores in one transaction.
type RunStart struct {
	Run *Run
	// Input is the user's message. StartRun sets its SessionKey and that of the run.
	Input *Message
	// Task is the task that the run executes, or nil. StartRun sets its status to running, and fails
	// with Conflict if it is not pending.
	Task *Task
	// Events are the first events of the run.
	Events []EventRow
}

// RunEnd contains the changes that EndRun stores in one transaction.
type RunEnd struct {
	// Run contains the id, the fence (Owner and Attempt), and the fields to store: AnswerID, Status,
	// Error, Usage, Model and EndedAt.
	Run *Run
	// Answer is the agent's answer, or nil.
	Answer *Message
	// Call is the completion that returned the answer. It is nil if it is already recorded.
	Call *Call
	// Task is the end of the run's task. It is nil if the run has no task.
	Task *TaskEnd
	// Events are the last events of the run.
	Events []EventRow
	// Complete reports that StartRun stored, and this RunEnd contains, all calls and events of the run. If it is
	// false, EndRun reads the others to know the size of the run.
	Complete bool
}

// RunStore stores runs and their host calls. Each method that writes is one durable transaction.
type RunStore interface {
	// StartRun stores a new run, its input and its first events. It creates the session if it does
	// not exist. It fails with Conflict while another run of the session is active, and with PayloadTooLarge if
	// the user's data would exceed ObjectLimits.DatabaseBytes.
	StartRun(ctx context.Context, audit *AuditRecord, s RunStart) error
	// Run returns the run with the given id. Actors see their own runs, admins all runs. It fails
	// with NotFound.
	Run(ctx context.Context, actor Actor, id string) (*Run, error)
	// RecordCall stores a call that has started or is done, together with its events. It fails with
	// Conflict if the run has ended, or if its stored owner or attempt differs from run.
	RecordCall(ctx context.Context, run *Run, c *Call, events []EventRow) error
	// Calls returns the calls of a run, ordered by number.
	Calls(ctx context.Context, runID string) ([]*Call, error)
	// RetryRun increases the attempt of the run, both in the database and in run, and stores the
	// events. It fails with Conflict as RecordCall does.
	RetryRun(ctx context.Context, run *Run, events []EventRow) error
	// EndRun ends a run. It fails with Conflict as RecordCall does.
	EndRun(ctx context.Context, e RunEnd) error
	// RequestCancel sets CancelRequested if the run has not ended, and returns the updated run. It
	// fails with NotFound.
	RequestCancel(ctx context.Context, audit *AuditRecord, actor Actor, id string) (*Run, error)
	// ClaimRuns makes owner the owner of up to limit active runs whose current owner's lease has
	// expired at now, and returns them. It skips runs without an owner, which wait for the next
	// attempt of their task.
	ClaimRuns(ctx context.Context, owner string, now time.Time, limit int) ([]*Run, error)
	// RenewLease extends the lease of owner, and with it the ownership of its runs.
	RenewLease(ctx context.Context, owner string, until time.Time) error
	// ReleaseLease ends the lease of owner, so that other servers can claim its runs immediately.
	ReleaseLease(ctx context.Context, owner string) error
	// ActiveRuns returns the ids of owner's active runs.
	ActiveRuns(ctx context.Context, owner string) ([]string, error)
	// CancelRequests returns the ids of owner's active runs with CancelRequested.
	CancelRequests(ctx context.Context, owner string) ([]string, error)
}
