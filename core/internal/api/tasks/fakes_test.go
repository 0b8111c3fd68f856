package tasks

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
	service "github.com/agentarea/agentarea/core/internal/tasks"
)

// testEnv is the API over the service, with tasks in memory.
type testEnv struct {
	*apitest.Server
	*store
	agents apitest.Agents
	files  apitest.Files
}

func newEnv(t *testing.T) *testEnv {
	t.Helper()
	env := &testEnv{
		Server: apitest.New(t), store: &store{tasks: map[string]*core.Task{}},
		agents: apitest.Agents{}, files: apitest.Files{},
	}
	Register(env.API, service.New(service.Options{
		Agents: env.agents, Files: env.files, Store: env.store, Canceller: env.store,
	}), env.store)
	env.agents.Add("agent-1", "ann")
	return env
}

var taskTime = time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)

// store keeps tasks in memory. It implements Store and Canceller of the service, and Watcher.
type store struct {
	tasks    map[string]*core.Task
	position int
	// watchedAfter is the after of the last WatchTask.
	watchedAfter int64
}

// add adds a pending task of a user, which the functions may change.
func (s *store) add(id, owner string, change ...func(*core.Task)) {
	t := &core.Task{
		ID: id, UserID: "user-" + owner, AgentID: "agent-1", Title: "Sum up",
		Priority: core.PriorityMedium, Status: core.TaskPending,
		MaxAttempts: 3, RunAt: taskTime, CreatedAt: taskTime, UpdatedAt: taskTime,
	}
	for _, c := range change {
		c(t)
	}
	s.tasks[id] = t
}

func (s *store) CreateTask(_ context.Context, audit *core.AuditRecord, t *core.Task) error {
	s.tasks[t.ID] = t
	audit.Claim()
	return nil
}

func (s *store) Task(_ context.Context, v core.Actor, id string) (*core.Task, error) {
	t := s.tasks[id]
	if t == nil || t.UserID != v.UserID && !v.Admin() {
		return nil, core.NotFound("task", id)
	}
	return t, nil
}

// QueuePosition returns the same position for every task.
func (s *store) QueuePosition(context.Context, *core.Task, time.Time) (int, error) {
	return s.position, nil
}

func (s *store) Tasks(ctx context.Context, v core.Actor, f core.TaskFilter) ([]*core.Task, int, error) {
	var found []*core.Task
	for id := range s.tasks {
		t, err := s.Task(ctx, v, id)
		if err == nil && (f.Status == "" || f.Status == t.Status) && (f.AgentID == "" || f.AgentID == t.AgentID) &&
			(f.Priority == 0 || f.Priority == t.Priority) {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, func(a, b *core.Task) int { return strings.Compare(b.ID, a.ID) })
	return apitest.Page(found, f.Page), len(found), nil
}

func (s *store) CancelTask(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string) (*core.Task, error) {
	t, err := s.Task(ctx, v, id)
	if err != nil {
		return nil, err
	}
	if t.Status.Ended() {
		return nil, core.Conflict("The task has already ended with status %s", t.Status)
	}
	t.Status, t.EndedAt = core.TaskCancelled, taskTime
	audit.Claim()
	return t, nil
}

func (s *store) WatchTask(ctx context.Context, v core.Actor, id string, after int64) (core.EventStream, error) {
	if _, err := s.Task(ctx, v, id); err != nil {
		return nil, err
	}
	s.watchedAfter = after
	return &apitest.Events{
		Batches: [][]core.Event{{apitest.Event(after+1, `{"type":"start"}`)}, {apitest.Event(after+2, `{"type":"end"}`)}},
	}, nil
}
