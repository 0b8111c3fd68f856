package core

import (
	"context"
	"encoding/json"
	"time"
)

// AgentStatus is what the user set; AgentError is never stored, only shown
// while the agent's type or provider is down.
type AgentStatus string

// The statuses.
const (
	AgentActive   AgentStatus = "active"
	AgentInactive AgentStatus = "inactive"
	AgentError    AgentStatus = "error"
)

// Agent is something to chat with.
type Agent struct {
	ID          string
	Name        string
	Description string
	// Type is the label of an agent stanza of plugins.hcl.
	Type   string
	Status AgentStatus
	// Config is a JSON object, valid by the type's schema when it was stored.
	Config json.RawMessage
	// Model is config's model, for filters.
	Model string
	// Shared agents may be used, not changed, by others.
	Shared bool
	// Version counts the changes, from 1.
	Version   int64
	CreatedBy string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Dependency is what an agent needs to be up.
type Dependency struct {
	Type, Model string
}

// AgentFilter picks agents.
type AgentFilter struct {
	Type string
	// Status is compared with the effective status: an agent with a dependency in
	// Broken has AgentError, any other its own.
	Status AgentStatus
	Broken []Dependency
	Page
}

// AgentStore keeps agents. A viewer sees the own and the shared ones and may
// change the own ones; an admin sees and may change all.
type AgentStore interface {
	CreateAgent(ctx context.Context, a *Agent) error
	// Agent fails with NotFound.
	Agent(ctx context.Context, v Actor, id string) (*Agent, error)
	// Agents lists newest first, with the count of all that match.
	Agents(ctx context.Context, v Actor, f AgentFilter) ([]*Agent, int, error)
	// AgentDependencies are those of the agents that the viewer sees, each once.
	AgentDependencies(ctx context.Context, v Actor) ([]Dependency, error)
	// UpdateAgent stores a's name, description, type, status, config, model,
	// shared and updated_at, and raises Version, if the stored version is still
	// a.Version. It fails with NotFound, Forbidden, or PreconditionFailed when
	// the agent has changed meanwhile.
	UpdateAgent(ctx context.Context, v Actor, a *Agent) error
	// DeleteAgent removes the agent with its sessions, messages and runs. version,
	// unless 0, must be the stored one. It fails with NotFound, Forbidden,
	// PreconditionFailed, or Conflict while a run of it is under way or a task
	// of it waits.
	DeleteAgent(ctx context.Context, v Actor, id string, version int64) error
}
