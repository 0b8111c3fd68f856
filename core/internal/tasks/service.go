package tasks

import (
	"context"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// Agents finds the agents of tasks.
type Agents interface {
	// Active returns an agent that accepts messages. It fails with NotFound if the actor may not see the
	// agent, and with Conflict if the agent is inactive.
	Active(ctx context.Context, v core.Actor, id string) (*core.Agent, error)
}

// Files attaches files to tasks.
type Files interface {
	// MessageParts returns a text and the actor's files as parts of a message. It fails with Invalid.
	MessageParts(ctx context.Context, v core.Actor, text string, fileIDs []string) ([]sdk.Part, error)
}

// Store stores tasks. core.TaskStore documents its methods.
type Store interface {
	CreateTask(ctx context.Context, audit *core.AuditRecord, t *core.Task) error
	Task(ctx context.Context, v core.Actor, id string) (*core.Task, error)
	Tasks(ctx context.Context, v core.Actor, f core.TaskFilter) ([]*core.Task, int, error)
	QueuePosition(ctx context.Context, t *core.Task, now time.Time) (int, error)
}

// Canceller cancels tasks. core.Runner documents its method.
type Canceller interface {
	CancelTask(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string) (*core.Task, error)
}

// Options are the dependencies of a Service.
type Options struct {
	Agents    Agents
	Files     Files
	Store     Store
	Canceller Canceller
}

// Service creates, reads and cancels tasks. Its methods may be called concurrently.
type Service struct{ opts Options }

// New returns a Service.
func New(o Options) *Service { return &Service{o} }

// Create validates a request, and stores and queues its task. It fails with Invalid, or with Conflict if the
// agent is inactive.
func (s *Service) Create(
	ctx context.Context, audit *core.AuditRecord, v core.Actor, r *core.TaskRequest,
) (*core.Task, error) {
	t, err := s.newTask(ctx, v, r)
	if err != nil {
		return nil, err
	}
	audit.SetTarget(t.ID)
	err = s.opts.Store.CreateTask(ctx, audit, t)
	if core.CodeOf(err) == core.CodeNotFound { // the agent was deleted since newTask has read it
		return nil, unknownAgent(r.AgentID)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// newTask validates a request and returns the task to store.
func (s *Service) newTask(ctx context.Context, v core.Actor, r *core.TaskRequest) (*core.Task, error) {
	if err := check(r); err != nil {
		return nil, err
	}
	agent, err := s.opts.Agents.Active(ctx, v, r.AgentID)
	if core.CodeOf(err) == core.CodeNotFound {
		return nil, unknownAgent(r.AgentID)
	}
	if err != nil {
		return nil, err
	}
	input, err := s.opts.Files.MessageParts(ctx, v, prompt(r), r.FileIDs)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	return &core.Task{
		ID: core.NewID("task"), UserID: v.UserID, AgentID: agent.ID, Title: r.Title, Description: r.Description,
		Priority: r.Priority, Data: r.Data, Input: input, Status: core.TaskPending,
		MaxAttempts: r.MaxAttempts, Timeout: r.Timeout, RunAt: now, CreatedAt: now, UpdatedAt: now,
	}, nil
}

func unknownAgent(id string) error {
	return core.Invalid("agent_id", "Agent %q does not exist. GET /v1/agents/ lists the agents.", id)
}

// Get returns a task, with its position in the queue if it is pending. It fails with NotFound if the actor may
// not see the task.
func (s *Service) Get(ctx context.Context, v core.Actor, id string) (*core.Task, error) {
	t, err := s.opts.Store.Task(ctx, v, id)
	if err == nil && t.Status == core.TaskPending {
		t.QueuePosition, err = s.opts.Store.QueuePosition(ctx, t, time.Now())
	}
	return t, err
}

// List returns a page of the matching tasks, newest first, and the number of all matches.
func (s *Service) List(ctx context.Context, v core.Actor, f core.TaskFilter) ([]*core.Task, int, error) {
	return s.opts.Store.Tasks(ctx, v, f)
}

// Cancel ends a pending task immediately, and a running task as soon as its run has stopped. It returns the
// updated task. It fails with NotFound, or with Conflict if the task has ended.
func (s *Service) Cancel(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string) (*core.Task, error) {
	return s.opts.Canceller.CancelTask(ctx, audit, v, id)
}
