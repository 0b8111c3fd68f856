package tasks

import (
	"encoding/json"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

type priority string

var priorities = map[priority]core.TaskPriority{
	"high": core.PriorityHigh, "medium": core.PriorityMedium, "low": core.PriorityLow,
}

type taskRequest struct {
	Title          string     `json:"title" pattern:"\\S" patternDescription:"Must not be empty" maxLength:"256" doc:"What to do, in one line"`
	Description    string     `json:"description,omitempty" maxLength:"65536" doc:"What to do, in detail"`
	AgentID        string     `json:"agent_id" doc:"The id of the agent that executes the task"`
	Priority       priority   `json:"priority,omitempty" enum:"low,medium,high" default:"medium" doc:"Tasks of a higher priority start first"`
	Data           api.Object `json:"data,omitempty" doc:"A JSON object for the agent, at most 256 KiB"`
	FileIDs        []string   `json:"file_ids,omitempty" maxItems:"16" doc:"Files to attach: ids from POST /v1/files/upload, without duplicates"`
	TimeoutSeconds int64      `json:"timeout_seconds,omitempty" minimum:"1" maximum:"86400" doc:"The timeout of an attempt. The default is the agent's timeout, or else the server's --task-timeout"`
	MaxAttempts    int        `json:"max_attempts,omitempty" minimum:"1" maximum:"10" default:"3" doc:"The maximum number of attempts. An attempt that failed for a temporary reason, such as a busy provider, is followed by another one"`
}

type task struct {
	ID             string          `json:"id"`
	Title          string          `json:"title"`
	Description    string          `json:"description"`
	AgentID        string          `json:"agent_id"`
	Priority       priority        `json:"priority" enum:"low,medium,high"`
	Data           api.Object      `json:"data,omitempty"`
	Status         core.TaskStatus `json:"status" enum:"pending,running,completed,failed,cancelled"`
	Result         api.Object      `json:"result,omitempty" doc:"The agent's final message, its message_id, and its files if there are any. Set when the task is completed"`
	Error          *api.RunError   `json:"error,omitempty" doc:"Why the last attempt failed"`
	QueuePosition  int             `json:"queue_position,omitempty" doc:"The position in the queue of all users: 1 starts next. Only GET /v1/tasks/{task_id} returns it, and only for a task that waits for a free slot. Tasks with a higher priority come first, and users take turns"`
	Progress       taskProgress    `json:"progress"`
	Attempts       int             `json:"attempts"`
	MaxAttempts    int             `json:"max_attempts"`
	TimeoutSeconds int64           `json:"timeout_seconds,omitempty"`
	Usage          api.Usage       `json:"usage"`
	RunID          string          `json:"run_id,omitempty" doc:"The run of the task, once it has started. See GET /v1/runs/{run_id}"`
	CreatedBy      string          `json:"created_by"`
	CreatedAt      api.Time        `json:"created_at"`
	UpdatedAt      api.Time        `json:"updated_at"`
	NextAttemptAt  *api.Time       `json:"next_attempt_at,omitempty" doc:"When the next attempt starts, while the task waits for one"`
	StartedAt      *api.Time       `json:"started_at,omitempty"`
	CompletedAt    *api.Time       `json:"completed_at,omitempty" doc:"When the task ended, with any status"`
}

type taskProgress struct {
	Steps int    `json:"steps" doc:"The number of completed calls of models, tools and files"`
	Step  string `json:"step,omitempty" doc:"The newest call: complete, call_tool, list_tools or read_file"`
}

type taskList struct {
	Tasks []task `json:"tasks"`
	api.Paged
}

// request returns the request for the service.
func (in *taskCreate) request() *core.TaskRequest {
	b := in.Body
	return &core.TaskRequest{
		AgentID: b.AgentID, Title: b.Title, Description: b.Description, Priority: priorities[b.Priority],
		Data: json.RawMessage(b.Data), FileIDs: b.FileIDs, Timeout: time.Duration(b.TimeoutSeconds) * time.Second,
		MaxAttempts: b.MaxAttempts,
	}
}

type (
	taskInput struct {
		ID string `path:"task_id"`
	}
	taskCreate struct{ Body taskRequest }
	tasksInput struct {
		api.LongPage
		Status   core.TaskStatus `query:"status" enum:"pending,running,completed,failed,cancelled" doc:"Filter by status"`
		AgentID  string          `query:"agent_id" doc:"Filter by agent"`
		Priority priority        `query:"priority" enum:"low,medium,high" doc:"Filter by priority"`
	}
	tasksOutput struct{ Body taskList }
	taskOutput  struct{ Body task }
	createdTask struct {
		Location string `header:"Location" doc:"The path of the task"`
		Body     task
	}
	taskEventsInput struct {
		ID          string `path:"task_id"`
		LastEventID string `header:"Last-Event-ID" doc:"The id of the last event you received. Takes precedence over after"`
		After       int64  `query:"after" minimum:"0" default:"0" doc:"Return events with ids above this one"`
	}
)

const exampleTaskData = `{"document_url":"https://example.com/doc.pdf","extract_fields":["name","date","amount"]}`

var (
	exampleTaskRequest = taskRequest{
		Title: "Process document", Description: "Extract key information from uploaded document", AgentID: "agent-123",
		Priority: "high", Data: api.Object(exampleTaskData),
	}
	exampleTask = task{
		ID: "task-123", Title: "Process document",
		Description: "Extract key information from uploaded document", AgentID: "agent-123",
		Priority: "high", Data: api.Object(exampleTaskData), Status: core.TaskPending, MaxAttempts: 3, CreatedBy: "user-456",
		CreatedAt: api.ExampleTime, UpdatedAt: api.ExampleTime,
	}
)

func exampleTaskDone() task {
	t := exampleTask
	t.Status, t.Result = core.TaskCompleted,
		api.Object(`{"message":"The invoice is of 2025-01-31, over 120.50.","message_id":"msg-456"}`)
	t.Attempts, t.RunID, t.Usage = 1, "run-123", api.Usage{InputTokens: 120, OutputTokens: 30}
	t.Progress = taskProgress{Steps: 1, Step: string(core.CallComplete)}
	t.StartedAt, t.CompletedAt = &api.ExampleTime, &api.ExampleTime
	return t
}

func exampleTaskCancelled() task {
	t := exampleTask
	t.Status, t.CompletedAt = core.TaskCancelled, &api.ExampleTime
	return t
}

func newTaskOutput(t *core.Task, err error) (*taskOutput, error) {
	if err != nil {
		return nil, err
	}
	return &taskOutput{Body: newTaskBody(t)}, nil
}

func newTaskBody(t *core.Task) task {
	b := task{
		ID: t.ID, Title: t.Title, Description: t.Description, AgentID: t.AgentID, Priority: priority(t.Priority.String()),
		Data: api.Object(t.Data), Status: t.Status, Result: api.Object(t.Result), Error: api.NewRunError(t.Error, t.RunID),
		QueuePosition: t.QueuePosition,
		Progress:      taskProgress{Steps: t.Steps, Step: string(t.Step)}, Attempts: t.Attempts, MaxAttempts: t.MaxAttempts,
		TimeoutSeconds: int64(t.Timeout / time.Second), Usage: api.NewUsage(t.Usage), RunID: t.RunID, CreatedBy: t.UserID,
		CreatedAt: api.Time(t.CreatedAt), UpdatedAt: api.Time(t.UpdatedAt),
		StartedAt: api.OptionalTime(t.StartedAt), CompletedAt: api.OptionalTime(t.EndedAt),
	}
	if t.Status == core.TaskPending && t.Attempts > 0 {
		b.NextAttemptAt = api.OptionalTime(t.RunAt)
	}
	return b
}
