// Package tasks serves background tasks.
package tasks

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
	"github.com/agentarea/agentarea/core/internal/api"
)

// Agents reads agents.
type Agents interface {
	// Agent fails with NotFound if the actor may not see the agent.
	Agent(ctx context.Context, v core.Actor, id string) (*core.Agent, error)
}

// Store keeps tasks.
type Store interface {
	// CreateTask stores and queues a task, and returns it, or the task of an earlier request with the
	// same idempotency key. It fails with NotFound if the agent was deleted, or with Conflict if the
	// key was used for another request.
	CreateTask(ctx context.Context, audit *core.AuditRecord, t *core.Task) (*core.Task, error)
	// Task fails with NotFound if the actor may not see the task.
	Task(ctx context.Context, v core.Actor, id string) (*core.Task, error)
	// Tasks returns a page of tasks, newest first, and the number of all.
	Tasks(ctx context.Context, v core.Actor, f core.TaskFilter) ([]*core.Task, int, error)
	// QueuePosition returns the position of a pending task among the tasks that are due, or 0 if the
	// task is not due.
	QueuePosition(ctx context.Context, t *core.Task, now time.Time) (int, error)
}

// Runner watches and cancels tasks.
type Runner interface {
	// CancelTask fails with NotFound, or with Conflict if the task has ended.
	CancelTask(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string) (*core.Task, error)
	// WatchTask returns the events of the task's run after a number. It fails with NotFound.
	WatchTask(ctx context.Context, v core.Actor, id string, after int64) (core.EventStream, error)
}

// Options are the dependencies of the group.
type Options struct {
	Agents Agents
	Files  api.FileReader
	Store  Store
	Runner Runner
}

type handlers struct {
	Options
	api *api.API
}

// Register adds the operations of the group.
func Register(a *api.API, o Options) {
	h := &handlers{Options: o, api: a}
	api.Register(a, api.Operation{
		ID: "create-task", Method: http.MethodPost, Path: "/v1/tasks/", Tag: "Tasks", Summary: "Create a task", Access: api.Writer,
		Description: "Queues work for an agent and returns at once. Title, description and data become the agent's message; its final message is the result. " +
			"A task that fails for a temporary reason is retried from the step at which it stopped.",
		Status: http.StatusCreated, Request: exampleTaskRequest, Response: exampleTask, Errors: []core.Code{core.CodeConflict},
	}, h.create)
	api.Register(a, api.Operation{
		ID: "list-tasks", Method: http.MethodGet, Path: "/v1/tasks/", Tag: "Tasks", Summary: "List tasks", Access: api.SignedIn,
		Description: "Your tasks, newest first. An admin sees the tasks of all users.",
		Response:    taskList{Tasks: []task{exampleTaskDone()}, Paged: api.Paged{Total: 1, Limit: 20}}, Errors: []core.Code{core.CodeValidation},
	}, h.list)
	api.Register(a, api.Operation{
		ID: "get-task", Method: http.MethodGet, Path: "/v1/tasks/{task_id}", Tag: "Tasks", Summary: "Get a task", Access: api.SignedIn,
		Description: "Returns the task with its progress, its usage, and its result or error.", Response: exampleTaskDone(),
	}, h.get)
	api.Register(a, api.Operation{
		ID: "cancel-task", Method: http.MethodPost, Path: "/v1/tasks/{task_id}/cancel", Tag: "Tasks", Summary: "Cancel a task", Access: api.Writer,
		Description: "A waiting task ends at once. A running task is asked to end, which takes a moment. 409 if the task has ended.",
		Response:    exampleTaskCancelled(), Errors: []core.Code{core.CodeConflict},
	}, func(ctx context.Context, in *taskInput) (*taskOutput, error) {
		return newTaskOutput(h.Runner.CancelTask(ctx, api.Audit(ctx), api.Actor(ctx), in.ID))
	})
	api.Register(a, api.Operation{
		ID: "task-events", Method: http.MethodGet, Path: "/v1/tasks/{task_id}/events", Tag: "Tasks", Summary: "Watch a task", Access: api.SignedIn,
		Description: "Streams the events of the task's run, from the first one or after the last one you received, from the start of the run to its end.",
		Stream:      api.ExampleStream,
	}, h.events)
}

func (h *handlers) create(ctx context.Context, in *taskCreate) (*taskMade, error) {
	t, err := h.newTask(ctx, api.Actor(ctx), in)
	if err != nil {
		return nil, err
	}
	audit := api.Audit(ctx)
	audit.SetTarget(t.ID)
	stored, err := h.Store.CreateTask(ctx, audit, t)
	if core.CodeOf(err) == core.CodeNotFound {
		return nil, unknownAgent(in.Body.AgentID)
	}
	if err != nil {
		return nil, err
	}
	out := &taskMade{Location: "/v1/tasks/" + stored.ID, Body: newTaskBody(stored)}
	if stored.ID != t.ID {
		out.Replayed = "true"
	}
	return out, nil
}

// newTask checks a request and returns the task to store.
func (h *handlers) newTask(ctx context.Context, v core.Actor, in *taskCreate) (*core.Task, error) {
	b := in.Body
	if len(b.Data) > maxTaskData {
		return nil, core.Invalid("data", "Must be at most 256 KiB of JSON, but is %d bytes. Upload a file and pass its id in file_ids.", len(b.Data))
	}
	for _, r := range in.IdempotencyKey {
		if r < ' ' || r > '~' {
			return nil, core.Invalid("Idempotency-Key", "Must be printable ASCII")
		}
	}
	ag, err := h.Agents.Agent(ctx, v, b.AgentID)
	if core.CodeOf(err) == core.CodeNotFound {
		return nil, unknownAgent(b.AgentID)
	}
	if err != nil {
		return nil, err
	}
	if ag.Status == core.AgentInactive {
		return nil, core.Conflict("Agent %q is inactive. Set its status to active first.", ag.ID)
	}
	parts, err := api.MessageParts(ctx, h.Files, v, prompt(b), b.FileIDs)
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
	return core.Invalid("agent_id", "Agent %q does not exist. GET /v1/agents/ lists the agents.", id)
}

// requestHash returns a hash that is the same for requests that differ only in the white space of
// their data.
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

// prompt returns the message that the agent receives.
func prompt(b taskRequest) string {
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

func (h *handlers) get(ctx context.Context, in *taskInput) (*taskOutput, error) {
	t, err := h.Store.Task(ctx, api.Actor(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	out := &taskOutput{Body: newTaskBody(t)}
	if t.Status == core.TaskPending {
		out.Body.QueuePosition, err = h.Store.QueuePosition(ctx, t, time.Now())
	}
	return out, err
}

func (h *handlers) list(ctx context.Context, in *tasksInput) (*tasksOutput, error) {
	found, total, err := h.Store.Tasks(ctx, api.Actor(ctx), core.TaskFilter{
		Status: in.Status, AgentID: in.AgentID, Priority: priorities[in.Priority], Page: in.Bounds(),
	})
	if err != nil {
		return nil, err
	}
	list := taskList{Tasks: make([]task, len(found)), Paged: in.Paged(total)}
	for i, t := range found {
		list.Tasks[i] = newTaskBody(t)
	}
	return &tasksOutput{Body: list}, nil
}

func (h *handlers) events(ctx context.Context, in *taskEventsInput) (*huma.StreamResponse, error) {
	after, err := api.LastEventID(in.LastEventID, in.After)
	if err != nil {
		return nil, err
	}
	events, err := h.Runner.WatchTask(ctx, api.Actor(ctx), in.ID, after)
	if err != nil {
		return nil, err
	}
	return h.api.Stream(ctx, events), nil
}
