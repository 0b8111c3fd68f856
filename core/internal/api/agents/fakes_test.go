package agents

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
	service "github.com/agentarea/agentarea/core/internal/agents"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

const chatSchema = `{
	"type": "object",
	"properties": {
		"model": {"type": "string", "minLength": 1},
		"temperature": {"type": "number", "minimum": 0, "maximum": 2},
		"max_tokens": {"type": "integer", "minimum": 1},
		"stop": {"type": "array", "items": {"type": "string"}},
		"system_prompt": {"type": "string"},
		"seed": {"type": "integer"},
		"extra": {"type": "object"}
	},
	"required": ["model"],
	"additionalProperties": false
}`

// testEnv is the API over the service, with a store in memory.
type testEnv struct {
	*apitest.Server
	*store
}

func newEnv(t *testing.T) *testEnv {
	t.Helper()
	env := &testEnv{Server: apitest.New(t), store: &store{agents: apitest.Agents{}}}
	Register(env.API, service.New(env.store, noServers{}, env.store, noServers{}))
	return env
}

// noServers has no MCP servers.
type noServers struct{}

func (noServers) MCPServer(_ context.Context, _ core.Actor, id string) (*core.MCPServer, error) {
	return nil, core.NotFound("MCP server", id)
}

func (noServers) MCPServerBySlug(_ context.Context, _ core.Actor, slug string) (*core.MCPServer, error) {
	return nil, core.NotFound("MCP server", slug)
}

func (noServers) ToolNames(context.Context, *core.MCPServer, string) ([]string, error) {
	return nil, core.Unavailable("There are no MCP servers.")
}

// store is a core.AgentStore in memory. It also provides three agent types and a model.
type store struct {
	agents apitest.Agents
	broken []core.Dependency
	// err is the error that Agents and Agent return.
	err error
}

func (s *store) Agent(ctx context.Context, v core.Actor, id string) (*core.Agent, error) {
	if s.err != nil {
		return nil, s.err
	}
	return s.agents.Agent(ctx, v, id)
}

func (s *store) Agents(ctx context.Context, v core.Actor, f core.AgentFilter) ([]*core.Agent, int, error) {
	var found []*core.Agent
	for id := range s.agents {
		a, err := s.agents.Agent(ctx, v, id)
		if err != nil || f.Type != "" && f.Type != a.Type {
			continue
		}
		status := a.Status
		if slices.Contains(f.Broken, core.Dependency{Type: a.Type, Model: a.Model}) {
			status = core.AgentError
		}
		if f.Status == "" || f.Status == status {
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(a, b *core.Agent) int { return strings.Compare(b.ID, a.ID) })
	return apitest.Page(found, f.Page), len(found), s.err
}

func (s *store) AgentDependencies(ctx context.Context, v core.Actor) ([]core.Dependency, error) {
	var found []core.Dependency
	for id := range s.agents {
		if a, err := s.agents.Agent(ctx, v, id); err == nil {
			found = append(found, core.Dependency{Type: a.Type, Model: a.Model})
		}
	}
	return found, nil
}

func (s *store) CreateAgent(_ context.Context, audit *core.AuditRecord, a *core.Agent) error {
	if s.err != nil {
		return s.err
	}
	c := *a
	s.agents[a.ID] = &c
	audit.Claim()
	return nil
}

func (s *store) checkChange(ctx context.Context, v core.Actor, id string, version int64) error {
	a, err := s.agents.Agent(ctx, v, id)
	switch {
	case err != nil:
		return err
	case !v.Admin() && a.CreatedBy != v.UserID:
		return core.Forbidden("Insufficient permissions: the agent belongs to another user")
	case version != 0 && version != a.Version:
		return &core.Error{Code: core.CodePreconditionFailed, Message: "The agent has changed"}
	}
	return nil
}

func (s *store) UpdateAgent(ctx context.Context, audit *core.AuditRecord, v core.Actor, a *core.Agent) error {
	if err := s.checkChange(ctx, v, a.ID, a.Version); err != nil {
		return err
	}
	a.Version++
	c := *a
	s.agents[a.ID] = &c
	audit.Claim()
	return nil
}

func (s *store) DeleteAgent(
	ctx context.Context, audit *core.AuditRecord, v core.Actor, id string, d core.AgentDeletion,
) error {
	if err := s.checkChange(ctx, v, id, d.Version); err != nil {
		return err
	}
	delete(s.agents, id)
	audit.Claim()
	return nil
}

func (*store) AgentTypes() []core.AgentType {
	return []core.AgentType{
		{Type: "chat", Description: "Chats", ConfigSchema: json.RawMessage(chatSchema), Available: true},
		{Type: "down"},
		{Type: "odd", ConfigSchema: json.RawMessage(`{"$ref":"https://example.com/schema.json"}`), Available: true},
	}
}

func (*store) CheckModel(_ context.Context, field, model string) error {
	if model != "gpt-4" {
		return core.Invalid(field, "Model %q is not available. Available models: gpt-4.", model)
	}
	return nil
}

func (s *store) Broken(dependencies []core.Dependency) []core.Dependency {
	var broken []core.Dependency
	for _, d := range dependencies {
		if slices.Contains(s.broken, d) {
			broken = append(broken, d)
		}
	}
	return broken
}
