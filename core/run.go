package core

import (
	"context"
	"encoding/json"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// RunStatus is where a run stands.
type RunStatus string

// The statuses. A run is Running from its start until it ends in one of the
// others. Interrupted is the end of a run that was cut by a crash too often to
// be started once more.
const (
	RunRunning         RunStatus = "running"
	RunWaitingApproval RunStatus = "waiting_approval"
	RunCompleted       RunStatus = "completed"
	RunFailed          RunStatus = "failed"
	RunCancelled       RunStatus = "cancelled"
	RunInterrupted     RunStatus = "interrupted"
)

// Ended says whether the run will not change any more.
func (s RunStatus) Ended() bool {
	return s != RunRunning && s != RunWaitingApproval
}

// RunKind is what started a run.
type RunKind string

// The kinds: a turn that somebody watches, and a task that nobody waits for.
const (
	RunChat RunKind = "chat"
	RunTask RunKind = "task"
)

// Run is one execution of an agent's loop.
type Run struct {
	ID      string
	Kind    RunKind
	AgentID string
	UserID  string
	// TaskID is empty for a chat turn.
	TaskID string
	// SessionKey and SessionID name the session of a chat turn.
	SessionKey string
	SessionID  string
	// AgentType and Config are the agent's when the run started: every attempt
	// uses the same.
	AgentType string
	Config    json.RawMessage
	// InputID and AnswerID are messages; AnswerID is empty until there is one.
	InputID  string
	AnswerID string
	Status   RunStatus
	// Error is why the run failed; nil otherwise.
	Error *sdk.Error
	// Stream says that the provider shall send the answer in pieces.
	Stream bool
	// Seed is given to the loop.
	Seed uint64
	// Owner is the server that executes the run, empty while its task waits for
	// another attempt, and Attempt counts the starts.
	// Together they fence: what an earlier owner or attempt still writes is refused.
	Owner   string
	Attempt int
	// CancelRequested is set when somebody wants the run to end.
	CancelRequested bool
	Usage           sdk.Usage
	Model           string
	CreatedAt       time.Time
	// EndedAt is zero until the run has ended.
	EndedAt time.Time
}

// CallKind is what a run asked of the host.
type CallKind string

// The kinds of calls.
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
	// RequestHash is the SHA-256 of the request.
	RequestHash []byte
	// Request is what an audit wants to know of it, as JSON: a tool call whole,
	// a completion without its messages.
	Request json.RawMessage
	// Done says that Result or Error is there. A call that is not done was
	// under way when its run was cut.
	Done   bool
	Result json.RawMessage
	Error  *sdk.Error
	Model  string
	// ModelID is that of the model that has answered, label/model; it is kept with
	// what was used, not with the call.
	ModelID string
	Usage   sdk.Usage
	// StartedAt and EndedAt are in UTC; EndedAt is zero until the call is done.
	StartedAt time.Time
	EndedAt   time.Time
}

// RunStart is what StartRun stores in one transaction.
type RunStart struct {
	Run *Run
	// Input is the user's message. Its SessionKey is set by StartRun, as is the run's.
	Input *Message
	// Task, of a task's run, is made running with it. StartRun fails with Conflict
	// unless it waits.
	Task *Task
	// Events are the run's first.
	Events []EventRow
}

// RunEnd is what EndRun stores in one transaction.
type RunEnd struct {
	// Run carries the id, the fence (Owner, Attempt) and what is to be stored:
	// AnswerID, Status, Error, Usage, Model, EndedAt.
	Run *Run
	// Answer is the agent's message, if there is one.
	Answer *Message
	// Call is the completion that gave the answer, if it is not recorded yet.
	Call *Call
	// Task is how the run's task ends, if it has one.
	Task *TaskEnd
	// Events are the run's last.
	Events []EventRow
}

// RunStore keeps runs with their calls. Each method is one durable transaction.
type RunStore interface {
	// StartRun stores a new run, its input and its first events, and makes the
	// session if it is not there yet. It fails with Conflict while another run
	// of the session is under way.
	StartRun(ctx context.Context, s RunStart) error
	// Run fails with NotFound. A viewer sees the own runs, an admin all.
	Run(ctx context.Context, v Actor, id string) (*Run, error)
	// RecordCall stores a call that starts or is done, with the events that
	// belong to it. It fails with Conflict when the run has ended or is not
	// run's Owner's and Attempt's any more.
	RecordCall(ctx context.Context, run *Run, c *Call, events []EventRow) error
	// Calls gives a run's calls by number.
	Calls(ctx context.Context, runID string) ([]*Call, error)
	// RetryRun raises the attempt of run, there and in run itself, and stores the
	// events with it. It fails with Conflict as RecordCall does.
	RetryRun(ctx context.Context, run *Run, events []EventRow) error
	// EndRun ends a run. It fails with Conflict as RecordCall does.
	EndRun(ctx context.Context, e RunEnd) error
	// RequestCancel sets CancelRequested on a run that has not ended, and gives
	// the run as it then is. It fails with NotFound.
	RequestCancel(ctx context.Context, v Actor, id string) (*Run, error)
	// ClaimRuns makes owner the owner of runs that are under way and whose
	// owner is another one that has no lease after now, at most limit, and
	// gives them. Runs without an owner wait for their tasks' turn.
	ClaimRuns(ctx context.Context, owner string, now time.Time, limit int) ([]*Run, error)
	// RenewLease keeps owner's runs its own until then.
	RenewLease(ctx context.Context, owner string, until time.Time) error
	// ReleaseLease gives owner's runs free at once.
	ReleaseLease(ctx context.Context, owner string) error
	// CancelRequests gives the ids of owner's runs with CancelRequested that are under way.
	CancelRequests(ctx context.Context, owner string) ([]string, error)
}
