// Package tasks serves background tasks.
package tasks

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// Tasks creates, reads and cancels tasks. Package tasks of core/internal implements it.
type Tasks interface {
	// Create stores and queues a task. It fails with Invalid or Conflict.
	Create(ctx context.Context, audit *core.AuditRecord, v core.Actor, r *core.TaskRequest) (*core.Task, error)
	// Get fails with NotFound if the actor may not see the task.
	Get(ctx context.Context, v core.Actor, id string) (*core.Task, error)
	// List returns a page of tasks, newest first, and their total number.
	List(ctx context.Context, v core.Actor, f core.TaskFilter) ([]*core.Task, int, error)
	// Cancel fails with NotFound, or with Conflict if the task has ended.
	Cancel(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string) (*core.Task, error)
}

// Watcher watches tasks.
type Watcher interface {
	// WatchTask returns the events of the task's run after a number. It fails with NotFound.
	WatchTask(ctx context.Context, v core.Actor, id string, after int64) (core.EventStream, error)
}

type handlers struct {
	tasks   Tasks
	watcher Watcher
	api     *api.API
}

// Register adds the operations of the group.
func Register(a *api.API, tasks Tasks, watcher Watcher) {
	h := &handlers{tasks, watcher, a}
	api.RegisterRepeatable(a, api.Operation{
		ID: "create-task", Method: http.MethodPost, Path: "/v1/tasks/",
		Tag: "Tasks", Summary: "Create a task", Access: api.Writer,
		Description: "Queues work for an agent and returns immediately. Title, description and data become the agent's " +
			"message; its final message is the result. A task that fails for a temporary reason is retried from the step at " +
			"which it stopped. An API key also needs files:read to attach files.",
		Status: http.StatusCreated, Request: exampleTaskRequest,
		Response: exampleTask, Errors: []core.Code{core.CodeConflict},
	}, h.create, func(ctx context.Context, in *taskCreate, id string) (*createdTask, error) {
		if err := in.checkScopes(ctx); err != nil {
			return nil, err
		}
		return newCreatedTask(h.tasks.Get(ctx, api.Actor(ctx), id))
	})
	api.Register(a, api.Operation{
		ID: "list-tasks", Method: http.MethodGet, Path: "/v1/tasks/",
		Tag: "Tasks", Summary: "List tasks", Access: api.SignedIn,
		Description: "Your tasks, newest first. An admin sees the tasks of all users.",
		Response:    taskList{Tasks: []task{exampleTaskDone()}, Paged: api.Paged{Total: 1, Limit: 100}},
		Errors:      []core.Code{core.CodeValidation},
		Large:       true,
	}, h.list)
	api.Register(a, api.Operation{
		ID: "get-task", Method: http.MethodGet, Path: "/v1/tasks/{task_id}",
		Tag: "Tasks", Summary: "Get a task", Access: api.SignedIn,
		Description: "Returns the task with its progress, its usage, and its result or error.", Response: exampleTaskDone(),
		Large: true,
	}, func(ctx context.Context, in *taskInput) (*taskOutput, error) {
		return newTaskOutput(h.tasks.Get(ctx, api.Actor(ctx), in.ID))
	})
	api.RegisterRepeatable(a, api.Operation{
		ID: "cancel-task", Method: http.MethodPost, Path: "/v1/tasks/{task_id}/cancel",
		Tag: "Tasks", Summary: "Cancel a task", Access: api.Writer,
		Description: "A waiting task ends immediately. A running task is asked to end, which takes a moment. If the task " +
			"has ended already, the request fails with 409.",
		Response: exampleTaskCancelled(), Errors: []core.Code{core.CodeConflict}, Large: true,
	}, func(ctx context.Context, in *taskInput) (*taskOutput, error) {
		return newTaskOutput(h.tasks.Cancel(ctx, api.Audit(ctx), api.Actor(ctx), in.ID))
	}, func(ctx context.Context, in *taskInput, _ string) (*taskOutput, error) {
		return newTaskOutput(h.tasks.Get(ctx, api.Actor(ctx), in.ID))
	})
	api.Register(a, api.Operation{
		ID: "task-events", Method: http.MethodGet, Path: "/v1/tasks/{task_id}/events",
		Tag: "Tasks", Summary: "Watch a task", Access: api.SignedIn,
		Description: "Streams the events of the task's run, from the first one or after the last one you received, from " +
			"the start of the run to its end.",
		Stream: api.ExampleStream,
	}, h.events)
}

// checkScopes fails with Forbidden if the API key of the request may not attach files.
func (in *taskCreate) checkScopes(ctx context.Context) error {
	if len(in.Body.FileIDs) == 0 {
		return nil
	}
	return api.RequireScope(ctx, core.ResourceFiles, false)
}

func (h *handlers) create(ctx context.Context, in *taskCreate) (*createdTask, error) {
	if err := in.checkScopes(ctx); err != nil {
		return nil, err
	}
	return newCreatedTask(h.tasks.Create(ctx, api.Audit(ctx), api.Actor(ctx), in.request()))
}

func newCreatedTask(t *core.Task, err error) (*createdTask, error) {
	if err != nil {
		return nil, err
	}
	return &createdTask{Location: "/v1/tasks/" + t.ID, Body: newTaskBody(t)}, nil
}

func (h *handlers) list(ctx context.Context, in *tasksInput) (*tasksOutput, error) {
	found, paged, err := api.ReadPage(ctx, in.Limit, in.Paging, func(p core.Page) ([]*core.Task, int, error) {
		return h.tasks.List(ctx, api.Actor(ctx), core.TaskFilter{
			Status: in.Status, AgentID: in.AgentID, Priority: priorities[in.Priority], Page: p,
		})
	}, func(t *core.Task) core.PageKey { return api.Newest(t.CreatedAt, t.ID) })
	if err != nil {
		return nil, err
	}
	list := taskList{Tasks: make([]task, len(found)), Paged: paged}
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
	events, err := h.watcher.WatchTask(ctx, api.Actor(ctx), in.ID, after)
	if err != nil {
		return nil, err
	}
	return h.api.Stream(ctx, events), nil
}
