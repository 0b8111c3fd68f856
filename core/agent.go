package core

import (
	"context"
	"encoding/json"
	"time"
)

// AgentStatus is the status of an agent. Users set AgentActive and AgentInactive. AgentError is
// never stored: it is reported while the agent's type or LLM provider is down.
type AgentStatus string

// The statuses of an agent.
const (
	AgentActive   AgentStatus = "active"
	AgentInactive AgentStatus = "inactive"
	AgentError    AgentStatus = "error"
)

// Agent is a configured agent that users can chat with and give tasks to.
type Agent struct {
	ID          string
	Name        string
	Description string
	// Type is the label of an agent block in plugins.hcl.
	Type   string
	Status AgentStatus
	// Config is a JSON object that matched the schema of the agent's type when it was stored.
	Config json.RawMessage
	// Model is the model named in Config. It is stored separately so that lists can filter by it.
	Model string
	// MCPServers are the MCP servers named in Config, as the creator of the agent could see them when
	// Config was stored.
	MCPServers []MCPServerRef
	// Warnings describe what does not work in runs of the agent, such as an MCP server that is down. They are
	// not stored.
	Warnings []FieldError
	// Shared reports whether other users can see and use the agent. They cannot change it.
	Shared bool
	// Version is 1 for a new agent and increases by one with each change.
	Version   int64
	CreatedBy string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Dependency is an agent type and a model. An agent works only if both are available.
type Dependency struct {
	Type, Model string
}

// AgentFilter selects agents. Empty fields match all agents.
type AgentFilter struct {
	Type string
	// Status is compared with the effective status. The effective status of an agent is AgentError
	// if its dependency is in Broken, and its stored status otherwise.
	Status AgentStatus
	Broken []Dependency
	Page
}

// AgentStore stores agents. Actors see their own and the shared agents and can change their own.
// Admins see and can change all agents. Creating or enlarging an agent fails with PayloadTooLarge beyond
// ObjectLimits.DatabaseBytes.
type AgentStore interface {
	// CreateAgent stores a new agent.
	CreateAgent(ctx context.Context, audit *AuditRecord, a *Agent) error
	// Agent returns the agent with the given id. It fails with NotFound.
	Agent(ctx context.Context, actor Actor, id string) (*Agent, error)
	// Agents returns a page of the matching agents, newest first, and the number of all matches.
	Agents(ctx context.Context, actor Actor, f AgentFilter) ([]*Agent, int, error)
	// AgentDependencies returns the distinct dependencies of all agents that the actor can see.
	AgentDependencies(ctx context.Context, actor Actor) ([]Dependency, error)
	// UpdateAgent stores the name, description, type, status, config, model, MCP servers, shared and
	// updated_at of a, and increases a.Version. It fails with NotFound, with Forbidden, or with
	// PreconditionFailed if the stored version differs from a.Version.
	UpdateAgent(ctx context.Context, audit *AuditRecord, actor Actor, a *Agent) error
	// DeleteAgent deletes the agent with its sessions, messages, runs and tasks. It fails with NotFound,
	// with Forbidden, also for what d keeps, with PreconditionFailed, or with Conflict while the agent has an
	// active run or a pending task.
	DeleteAgent(ctx context.Context, audit *AuditRecord, actor Actor, id string, d AgentDeletion) error
}

// AgentDeletion describes the deletion of an agent.
type AgentDeletion struct {
	// Version must equal the stored version, unless it is 0.
	Version int64
	// KeepSessions and KeepTasks reject the deletion of an agent that has chat sessions or tasks, because the
	// API key of the request may not delete them.
	KeepSessions, KeepTasks bool
}
