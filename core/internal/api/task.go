package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

type priority string

var priorities = map[priority]core.TaskPriority{
	"high": core.PriorityHigh, "medium": core.PriorityMedium, "low": core.PriorityLow,
}

func priorityName(p core.TaskPriority) priority {
	for name, value := range priorities {
		if value == p {
			return name
		}
	}
	return "medium"
}

// maxTaskData bounds a task's data, which goes into the prompt.
const maxTaskData = 256 << 10

type taskRequest struct {
	Title          string   `json:"title" pattern:"\\S" patternDescription:"Must not be empty" maxLength:"256" doc:"What is to be done, in a line"`
	Description    string   `json:"description,omitempty" maxLength:"65536" doc:"What is to be done"`
	AgentID        string   `json:"agent_id" doc:"Who does it"`
	Priority       priority `json:"priority,omitempty" enum:"low,medium,high" default:"medium" doc:"All that is high goes before anything medium"`
	Data           object   `json:"data,omitempty" doc:"Any object, for the agent; at most 256 KiB"`
	FileIDs        []string `json:"file_ids,omitempty" maxItems:"16" doc:"Files that go with the task: ids that POST /v1/files/upload gave, each once"`
	TimeoutSeconds int64    `json:"timeout_seconds,omitempty" minimum:"1" maximum:"86400" doc:"How long an attempt may take; the agent's own timeout unless given"`
	MaxAttempts    int      `json:"max_attempts,omitempty" minimum:"1" maximum:"10" default:"3" doc:"How often it is tried when a failure may pass, as a provider that is busy"`
}

type task struct {
	ID             string          `json:"id"`
	Title          string          `json:"title"`
	Description    string          `json:"description"`
	AgentID        string          `json:"agent_id"`
	Priority       priority        `json:"priority" enum:"low,medium,high"`
	Data           object          `json:"data,omitempty"`
	Status         core.TaskStatus `json:"status" enum:"pending,running,completed,failed,cancelled"`
	Result         object          `json:"result,omitempty" doc:"Once it is completed: the agent's final message, its message_id, and files if there are"`
	Error          *runError       `json:"error,omitempty" doc:"Why the last attempt failed"`
	Progress       taskProgress    `json:"progress"`
	Attempts       int             `json:"attempts"`
	MaxAttempts    int             `json:"max_attempts"`
	TimeoutSeconds int64           `json:"timeout_seconds,omitempty"`
	Usage          usage           `json:"usage"`
	RunID          string          `json:"run_id,omitempty" doc:"Once it has begun: see GET /v1/runs/{run_id}"`
	CreatedBy      string          `json:"created_by"`
	CreatedAt      stamp           `json:"created_at"`
	UpdatedAt      stamp           `json:"updated_at"`
	NextAttemptAt  *stamp          `json:"next_attempt_at,omitempty" doc:"While it waits for another attempt"`
	StartedAt      *stamp          `json:"started_at,omitempty"`
	CompletedAt    *stamp          `json:"completed_at,omitempty" doc:"When it ended, however"`
}

type taskProgress struct {
	Steps int    `json:"steps" doc:"How many calls of models, tools and files are done"`
	Step  string `json:"step,omitempty" doc:"The newest one: complete, call_tool, list_tools or read_file"`
}

type taskList struct {
	Tasks []task `json:"tasks"`
	Paged
}

type (
	taskInput struct {
		ID string `path:"task_id"`
	}
	taskCreate struct {
		IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"A second request by the same key within 24 hours gives the first one's task"`
		Body           taskRequest
	}
	tasksInput struct {
		Page
		Status   core.TaskStatus `query:"status" enum:"pending,running,completed,failed,cancelled" doc:"Filter by status"`
		AgentID  string          `query:"agent_id" doc:"Filter by agent"`
		Priority priority        `query:"priority" enum:"low,medium,high" doc:"Filter by priority"`
	}
	tasksOutput struct{ Body taskList }
	taskOutput  struct{ Body task }
	taskMade    struct {
		Location string `header:"Location" doc:"Where the task is"`
		Replayed string `header:"Idempotency-Replayed" doc:"true when the task was made by an earlier request of the same key"`
		Body     task
	}
	taskEventsInput struct {
		ID          string `path:"task_id"`
		LastEventID string `header:"Last-Event-ID" doc:"The id of the last event that arrived; goes before after"`
		After       int64  `query:"after" minimum:"0" default:"0" doc:"Events with ids above this one"`
	}
)

const exampleTaskData = `{"document_url":"https://example.com/doc.pdf","extract_fields":["name","date","amount"]}`

var (
	exampleTaskRequest = taskRequest{
		Title: "Process document", Description: "Extract key information from uploaded document", AgentID: "agent-123",
		Priority: "high", Data: object(exampleTaskData),
	}
	exampleTask = task{
		ID: "task-123", Title: "Process document", Description: "Extract key information from uploaded document", AgentID: "agent-123",
		Priority: "high", Data: object(exampleTaskData), Status: core.TaskPending, MaxAttempts: 3, CreatedBy: "user-456",
		CreatedAt: exampleTime, UpdatedAt: exampleTime,
	}
)

func exampleTaskDone() task {
	t := exampleTask
	t.Status, t.Result = core.TaskCompleted, object(`{"message":"The invoice is of 2025-01-31, over 120.50.","message_id":"msg-456"}`)
	t.Attempts, t.RunID, t.Usage = 1, "run-123", usage{InputTokens: 120, OutputTokens: 30}
	t.Progress = taskProgress{Steps: 1, Step: string(core.CallComplete)}
	t.StartedAt, t.CompletedAt = &exampleTime, &exampleTime
	return t
}

func (a *api) registerTasks() {
	register(a, operation{
		id: "create-task", method: http.MethodPost, path: "/v1/tasks/", tag: "Tasks", summary: "Create a task", access: writer,
		about: "Queues work for an agent, and answers at once. Title, description and data make the agent's message; its final message is the result. " +
			"What fails for a reason that may pass is tried again, from the step where it stopped.",
		status: http.StatusCreated, request: exampleTaskRequest, response: exampleTask, errors: []core.Code{core.CodeConflict},
	}, a.createTask)
	register(a, operation{
		id: "list-tasks", method: http.MethodGet, path: "/v1/tasks/", tag: "Tasks", summary: "List tasks", access: signedIn,
		about:    "Your own, newest first; an admin sees all.",
		response: taskList{Tasks: []task{exampleTaskDone()}, Paged: Paged{Total: 1, Limit: 20}}, errors: []core.Code{core.CodeValidation},
	}, a.listTasks)
	register(a, operation{
		id: "get-task", method: http.MethodGet, path: "/v1/tasks/{task_id}", tag: "Tasks", summary: "Get a task", access: signedIn,
		about: "With its result or error, how far it is, and what it has used so far.", response: exampleTaskDone(),
	}, func(ctx context.Context, in *taskInput) (*taskOutput, error) {
		return taskReply(a.tasks.Task(ctx, actor(ctx), in.ID))
	})
	register(a, operation{
		id: "cancel-task", method: http.MethodPost, path: "/v1/tasks/{task_id}/cancel", tag: "Tasks", summary: "Cancel a task", access: writer,
		about:    "One that waits ends at once; one that is running is asked to end, which takes a moment. One that has ended is 409.",
		response: exampleTaskCancelled(), errors: []core.Code{core.CodeConflict},
	}, func(ctx context.Context, in *taskInput) (*taskOutput, error) {
		return taskReply(a.runner.CancelTask(ctx, actor(ctx), in.ID))
	})
	register(a, operation{
		id: "task-events", method: http.MethodGet, path: "/v1/tasks/{task_id}/events", tag: "Tasks", summary: "Watch a task", access: signedIn,
		about:  "Gives the events of the task's run, from the first one or from after the last one that arrived, once it has begun and until it ends.",
		stream: exampleStream,
	}, a.taskEvents)
}

func exampleTaskCancelled() task {
	t := exampleTask
	t.Status, t.CompletedAt = core.TaskCancelled, &exampleTime
	return t
}

func (a *api) createTask(ctx context.Context, in *taskCreate) (*taskMade, error) {
	v := actor(ctx)
	t, err := a.newTask(ctx, v, in)
	if err != nil {
		return nil, err
	}
	core.SetAuditTarget(ctx, t.ID)
	stored, err := a.tasks.CreateTask(ctx, t)
	if core.CodeOf(err) == core.CodeNotFound {
		return nil, unknownAgent(in.Body.AgentID)
	}
	if err != nil {
		return nil, err
	}
	out := &taskMade{Location: "/v1/tasks/" + stored.ID, Body: taskBody(stored)}
	if stored.ID != t.ID {
		out.Replayed = "true"
	}
	return out, nil
}

func (a *api) newTask(ctx context.Context, v core.Actor, in *taskCreate) (*core.Task, error) {
	b := in.Body
	if len(b.Data) > maxTaskData {
		return nil, core.Invalid("data", "Must be at most 256 KiB as JSON, and is %d bytes: upload a file and name it in file_ids", len(b.Data))
	}
	for _, r := range in.IdempotencyKey {
		if r < ' ' || r > '~' {
			return nil, core.Invalid("Idempotency-Key", "Must be printable ASCII")
		}
	}
	ag, err := a.agents.Agent(ctx, v, b.AgentID)
	if core.CodeOf(err) == core.CodeNotFound {
		return nil, unknownAgent(b.AgentID)
	}
	if err != nil {
		return nil, err
	}
	if ag.Status == core.AgentInactive {
		return nil, core.Conflict("The agent %q is inactive: set its status to active first", ag.ID)
	}
	parts, err := a.chatParts(ctx, v, chatRequest{Message: taskText(b), FileIDs: b.FileIDs})
	if err != nil {
		return nil, err
	}
	hash, err := requestHash(b)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	return &core.Task{
		ID: core.NewID("task"), UserID: v.UserID, AgentID: ag.ID, Title: b.Title, Description: b.Description,
		Priority: priorities[b.Priority], Data: json.RawMessage(b.Data), Input: parts, Status: core.TaskPending,
		MaxAttempts: b.MaxAttempts, Timeout: time.Duration(b.TimeoutSeconds) * time.Second,
		IdempotencyKey: in.IdempotencyKey, RequestHash: hash, RunAt: now, CreatedAt: now, UpdatedAt: now,
	}, nil
}

func unknownAgent(id string) error {
	return core.Invalid("agent_id", "There is no agent %q: GET /v1/agents/ lists those there are", id)
}

// requestHash tells requests apart, whatever the spaces in their data.
func requestHash(b taskRequest) ([]byte, error) {
	if len(b.Data) > 0 {
		var compact bytes.Buffer
		if err := json.Compact(&compact, b.Data); err != nil {
			return nil, err
		}
		b.Data = compact.Bytes()
	}
	text, err := json.Marshal(b)
	hash := sha256.Sum256(text)
	return hash[:], err
}

// taskText is the message that the agent gets.
func taskText(b taskRequest) string {
	var text strings.Builder
	text.WriteString(b.Title)
	if b.Description != "" {
		text.WriteString("\n\n" + b.Description)
	}
	if len(b.Data) > 0 {
		var data bytes.Buffer
		if json.Indent(&data, b.Data, "", "  ") == nil {
			fmt.Fprintf(&text, "\n\nData:\n```json\n%s\n```", data.Bytes())
		}
	}
	return text.String()
}

func (a *api) listTasks(ctx context.Context, in *tasksInput) (*tasksOutput, error) {
	found, total, err := a.tasks.Tasks(ctx, actor(ctx), core.TaskFilter{
		Status: in.Status, AgentID: in.AgentID, Priority: priorities[in.Priority], Page: in.core(),
	})
	if err != nil {
		return nil, err
	}
	list := taskList{Tasks: make([]task, len(found)), Paged: in.reply(total)}
	for i, t := range found {
		list.Tasks[i] = taskBody(t)
	}
	return &tasksOutput{Body: list}, nil
}

func (a *api) taskEvents(ctx context.Context, in *taskEventsInput) (*huma.StreamResponse, error) {
	after, err := lastEvent(in.LastEventID, in.After)
	if err != nil {
		return nil, err
	}
	events, err := a.runner.WatchTask(ctx, actor(ctx), in.ID, after)
	if err != nil {
		return nil, err
	}
	return a.stream(ctx, events), nil
}

func taskReply(t *core.Task, err error) (*taskOutput, error) {
	if err != nil {
		return nil, err
	}
	return &taskOutput{Body: taskBody(t)}, nil
}

func taskBody(t *core.Task) task {
	b := task{
		ID: t.ID, Title: t.Title, Description: t.Description, AgentID: t.AgentID, Priority: priorityName(t.Priority),
		Data: object(t.Data), Status: t.Status, Result: object(t.Result), Error: errorBody(t.Error),
		Progress: taskProgress{Steps: t.Steps, Step: string(t.Step)}, Attempts: t.Attempts, MaxAttempts: t.MaxAttempts,
		TimeoutSeconds: int64(t.Timeout / time.Second), Usage: usageBody(t.Usage), RunID: t.RunID, CreatedBy: t.UserID,
		CreatedAt: stamp(t.CreatedAt), UpdatedAt: stamp(t.UpdatedAt), StartedAt: stampOrNil(t.StartedAt), CompletedAt: stampOrNil(t.EndedAt),
	}
	if t.Status == core.TaskPending && t.Attempts > 0 {
		b.NextAttemptAt = stampOrNil(t.RunAt)
	}
	return b
}

func usageBody(u sdk.Usage) usage {
	return usage{InputTokens: u.InputTokens, OutputTokens: u.OutputTokens}
}
