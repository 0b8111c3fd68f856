package agents

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/agentarea/agentarea/core"
)

// Plugins provides agent types and models.
type Plugins interface {
	// AgentTypes returns the types of the enabled agent plugins.
	AgentTypes() []core.AgentType
	// CheckModel fails with Invalid of the field if no provider serves the model.
	CheckModel(ctx context.Context, field, model string) error
	// Broken returns those of the dependencies that are down.
	Broken(dependencies []core.Dependency) []core.Dependency
}

// Service manages agents. Its methods may be called concurrently.
type Service struct {
	store   core.AgentStore
	servers MCPServers
	plugins Plugins
	tools   MCPTools
	schemas configSchemas
}

// New returns a Service. Without tools, agents have no warnings about MCP servers that are down.
func New(store core.AgentStore, servers MCPServers, plugins Plugins, tools MCPTools) *Service {
	return &Service{
		store: store, servers: servers, plugins: plugins, tools: tools,
		schemas: configSchemas{running: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))},
	}
}

// Create validates and stores a new agent with a's name, description, type, status, shared and config, and
// sets the other fields of a, with the warnings. The default status is active, the default config {}. It fails
// with Invalid, or with Unavailable if the config cannot be checked.
func (s *Service) Create(ctx context.Context, audit *core.AuditRecord, actor core.Actor, a *core.Agent) error {
	a.ID, a.Version, a.CreatedBy, a.CreatedAt = core.NewID("agent"), 1, actor.UserID, now()
	a.UpdatedAt = a.CreatedAt
	audit.SetTarget(a.ID)
	if err := s.prepare(ctx, core.Agent{}, a); err != nil {
		return err
	}
	if err := s.store.CreateAgent(ctx, audit, a); err != nil {
		return err
	}
	s.reportBroken(a)
	a.Warnings = s.warnings(ctx, a)
	return nil
}

// Get returns an agent. It fails with NotFound if the actor may not see the agent.
func (s *Service) Get(ctx context.Context, actor core.Actor, id string) (*core.Agent, error) {
	a, err := s.store.Agent(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	s.reportBroken(a)
	return a, nil
}

// Active returns an agent that accepts messages. It fails with NotFound if the actor may not see the agent,
// and with Conflict if the agent is inactive.
func (s *Service) Active(ctx context.Context, actor core.Actor, id string) (*core.Agent, error) {
	a, err := s.store.Agent(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	if a.Status == core.AgentInactive {
		return nil, core.Conflict("Agent %q is inactive. Set its status to active first.", a.ID).
			WithField("agent_id").WithObject("agent", a.ID)
	}
	return a, nil
}

// List returns a page of the matching agents, newest first, and the number of all matches. It sets f.Broken.
func (s *Service) List(ctx context.Context, actor core.Actor, f core.AgentFilter) ([]*core.Agent, int, error) {
	if f.Status != "" {
		dependencies, err := s.store.AgentDependencies(ctx, actor)
		if err != nil {
			return nil, 0, err
		}
		f.Broken = s.plugins.Broken(dependencies)
	}
	found, total, err := s.store.Agents(ctx, actor, f)
	if err != nil {
		return nil, 0, err
	}
	s.reportBroken(found...)
	return found, total, nil
}

// Update changes an agent with change, and stores and returns it with its warnings. It repeats the change if another update
// interferes. The status error, which is never stored, keeps the stored status. Update fails as Create
// does, with NotFound or Forbidden, or with the error of change.
func (s *Service) Update(
	ctx context.Context, audit *core.AuditRecord, actor core.Actor, id string, change func(*core.Agent) error,
) (*core.Agent, error) {
	a, err := core.Update(
		func() (*core.Agent, error) { return s.store.Agent(ctx, actor, id) },
		func(a *core.Agent) error {
			old := *a
			if err := change(a); err != nil {
				return err
			}
			a.UpdatedAt = now()
			return s.prepare(ctx, old, a)
		},
		func(a *core.Agent) error { return s.store.UpdateAgent(ctx, audit, actor, a) },
	)
	if err != nil {
		return nil, err
	}
	s.reportBroken(a)
	a.Warnings = s.warnings(ctx, a)
	return a, nil
}

// Delete deletes an agent. It fails with NotFound, Forbidden or PreconditionFailed, or with Conflict while the
// agent has an active run or a pending task.
func (s *Service) Delete(
	ctx context.Context, audit *core.AuditRecord, actor core.Actor, id string, d core.AgentDeletion,
) error {
	return s.store.DeleteAgent(ctx, audit, actor, id, d)
}

// reportBroken sets the status of the agents whose type or provider is down to AgentError.
func (s *Service) reportBroken(agents ...*core.Agent) {
	var dependencies []core.Dependency
	for _, a := range agents {
		if d := dependency(a); !slices.Contains(dependencies, d) {
			dependencies = append(dependencies, d)
		}
	}
	broken := s.plugins.Broken(dependencies)
	for _, a := range agents {
		if slices.Contains(broken, dependency(a)) {
			a.Status = core.AgentError
		}
	}
}

// dependency returns the type and model that the agent needs.
func dependency(a *core.Agent) core.Dependency { return core.Dependency{Type: a.Type, Model: a.Model} }

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
