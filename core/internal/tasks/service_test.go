package tasks

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

var ann = core.Actor{UserID: "user-ann", Role: core.RoleMember}

// env is a Service with fakes. err is the error of the store.
type env struct {
	*Service
	created []*core.Task
	err     error
}

func newEnv(t *testing.T) *env {
	t.Helper()
	e := &env{}
	e.Service = New(Options{Agents: fakeAgents{}, Files: fakeFiles{}, Store: e})
	return e
}

func (e *env) CreateTask(_ context.Context, _ *core.AuditRecord, t *core.Task) error {
	if e.err == nil {
		e.created = append(e.created, t)
	}
	return e.err
}

func (e *env) Task(_ context.Context, _ core.Actor, id string) (*core.Task, error) {
	for _, t := range e.created {
		if t.ID == id {
			return t, e.err
		}
	}
	return nil, core.NotFound("task", id)
}

func (e *env) QueuePosition(context.Context, *core.Task, time.Time) (int, error) { return 7, e.err }

func (e *env) Tasks(context.Context, core.Actor, core.TaskFilter) ([]*core.Task, int, error) {
	return nil, 0, e.err
}

type fakeAgents struct{}

func (fakeAgents) Active(_ context.Context, _ core.Actor, id string) (*core.Agent, error) {
	switch id {
	case "agent-1":
		return &core.Agent{ID: id}, nil
	case "agent-off":
		return nil, core.Conflict("Agent %q is inactive", id)
	default:
		return nil, core.NotFound("agent", id)
	}
}

type fakeFiles struct{}

func (fakeFiles) MessageParts(_ context.Context, _ core.Actor, text string, ids []string) ([]sdk.Part, error) {
	parts := []sdk.Part{{Text: text}}
	for _, id := range ids {
		if id == "file-0" {
			return nil, core.Invalid("file_ids[0]", "File %q does not exist.", id)
		}
		parts = append(parts, sdk.Part{File: &sdk.File{ID: id}})
	}
	return parts, nil
}

// request returns a valid request, which the functions may change.
func request(change ...func(*core.TaskRequest)) *core.TaskRequest {
	r := &core.TaskRequest{AgentID: "agent-1", Title: "Sum up", Priority: core.PriorityMedium, MaxAttempts: 3}
	for _, c := range change {
		c(r)
	}
	return r
}

func TestCreate(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	r := request(func(r *core.TaskRequest) {
		r.Description, r.Priority, r.FileIDs, r.Timeout = "All of it", core.PriorityHigh, []string{"file-1"}, time.Minute
	})
	audit := &core.AuditRecord{}
	got, err := e.Create(t.Context(), audit, ann, r)
	if err != nil || audit.Target != got.ID {
		t.Fatalf("Create() = %+v, %v, with audit target %q", got, err, audit.Target)
	}
	if !strings.HasPrefix(got.ID, "task-") || got.UserID != ann.UserID || got.AgentID != "agent-1" ||
		got.Status != core.TaskPending {
		t.Errorf("Create() = %+v, want a pending task of ann for agent-1", got)
	}
	if got.Title != "Sum up" || got.Description != "All of it" || got.Priority != core.PriorityHigh ||
		got.Timeout != time.Minute || got.MaxAttempts != 3 {
		t.Errorf("Create() = %+v, want the fields of the request", got)
	}
	if len(got.Input) != 2 || got.Input[0].Text != "Sum up\n\nAll of it" || got.Input[1].File.ID != "file-1" {
		t.Errorf("Create() = %+v, want an input with the text and the file", got.Input)
	}
	if got.RunAt.IsZero() || !got.CreatedAt.Equal(got.RunAt) || !got.UpdatedAt.Equal(got.RunAt) {
		t.Errorf("Create() = %+v, want a task that is due now", got)
	}
}

func TestGet_queuePosition(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	for status, want := range map[core.TaskStatus]int{core.TaskPending: 7, core.TaskRunning: 0, core.TaskCompleted: 0} {
		e.created = append(e.created, &core.Task{ID: string(status), Status: status})
		if got, err := e.Get(t.Context(), ann, string(status)); err != nil || got.QueuePosition != want {
			t.Errorf("Get(%q) = %+v, %v, want the queue position %d", status, got, err, want)
		}
	}
	if _, err := e.Get(t.Context(), ann, "task-0"); core.CodeOf(err) != core.CodeNotFound {
		t.Errorf("Get of an unknown task = %v, want NotFound", err)
	}
}

func TestCreate_invalid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change       func(*core.TaskRequest)
		code         core.Code
		field, issue string
	}{
		"too much data": {
			func(r *core.TaskRequest) { r.Data = bytes.Repeat([]byte(" "), maxData+1) }, core.CodeValidation, "data",
			"Must be at most 256 KiB of JSON, but is 262145 bytes. Upload a file and pass its id in file_ids.",
		},
		"unknown agent": {
			func(r *core.TaskRequest) { r.AgentID = "agent-0" }, core.CodeValidation, "agent_id",
			`Agent "agent-0" does not exist. GET /v1/agents/ lists the agents.`,
		},
		"inactive agent": {func(r *core.TaskRequest) { r.AgentID = "agent-off" }, core.CodeConflict, "", ""},
		"unknown file": {
			func(r *core.TaskRequest) { r.FileIDs = []string{"file-0"} },
			core.CodeValidation, "file_ids[0]", `File "file-0" does not exist.`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			_, err := e.Create(t.Context(), nil, ann, request(c.change))
			if got := fieldError(err); core.CodeOf(err) != c.code || got != (core.FieldError{Field: c.field, Issue: c.issue}) {
				t.Errorf("Create() = %v, want %s of %q: %s", err, c.code, c.field, c.issue)
			}
			if len(e.created) > 0 {
				t.Error("Create stored the task")
			}
		})
	}
}

func TestCreate_agentDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.err = core.NotFound("agent", "agent-1")
	if _, err := e.Create(t.Context(), nil, ann, request()); fieldError(err).Field != "agent_id" {
		t.Errorf("Create() = %v, want Invalid of agent_id", err)
	}
}

// fieldError returns the first field error of err.
func fieldError(err error) core.FieldError {
	var e *core.Error
	if errors.As(err, &e) && len(e.Fields) > 0 {
		return e.Fields[0]
	}
	return core.FieldError{}
}
