package agents

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/agentarea/agentarea/core"
)

const chatSchema = `{
	"type": "object",
	"properties": {
		"model": {"type": "string", "minLength": 1},
		"temperature": {"type": "number", "minimum": 0, "maximum": 2},
		"max_tokens": {"type": "integer", "minimum": 1},
		"stop": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
		"format": {"enum": ["text", "json"]},
		"strict": {"type": "boolean"}
	},
	"required": ["model"],
	"additionalProperties": false
}`

var ann, bob = core.Actor{UserID: "user-ann", Role: core.RoleMember}, core.Actor{
	UserID: "user-bob", Role: core.RoleMember,
}

// env is a Service with a store and plugins in memory.
type env struct {
	*Service
	store   *store
	servers servers
	plugins *plugins
}

func newEnv(t *testing.T) *env {
	t.Helper()
	e := &env{
		store:   &store{agents: map[string]*core.Agent{}},
		servers: servers{},
		plugins: &plugins{
			models: []string{"gpt-4", "claude"},
			types: []core.AgentType{
				{Type: "chat", ConfigSchema: json.RawMessage(chatSchema), Available: true},
				{Type: "free", Available: true},
				{Type: "down"},
				{Type: "odd", ConfigSchema: json.RawMessage(`{"$ref":"https://example.com/schema.json"}`), Available: true},
			},
		},
	}
	e.Service = New(e.store, e.servers, e.plugins, nil)
	return e
}

// add stores an active agent of ann that uses gpt-4.
func (e *env) add(id string, change ...func(*core.Agent)) {
	a := &core.Agent{
		ID: id, Name: "helper", Type: "chat", Status: core.AgentActive, Config: json.RawMessage(`{"model":"gpt-4"}`),
		Model: "gpt-4", Version: 1, CreatedBy: ann.UserID,
	}
	for _, c := range change {
		c(a)
	}
	e.store.agents[id] = a
}

// store is a core.AgentStore in memory.
type store struct {
	core.AgentStore
	agents map[string]*core.Agent
	// seenBy is a user who sees all agents.
	seenBy string
	// interfering is the number of updates that conflict with another update.
	interfering int
	// filter is the filter of the last list.
	filter core.AgentFilter
}

func (s *store) CreateAgent(_ context.Context, _ *core.AuditRecord, a *core.Agent) error {
	stored := *a
	s.agents[a.ID] = &stored
	return nil
}

func (s *store) Agent(_ context.Context, actor core.Actor, id string) (*core.Agent, error) {
	a := s.agents[id]
	if a == nil || a.CreatedBy != actor.UserID && s.seenBy != actor.UserID {
		return nil, core.NotFound("agent", id)
	}
	found := *a
	return &found, nil
}

func (s *store) Agents(ctx context.Context, actor core.Actor, f core.AgentFilter) ([]*core.Agent, int, error) {
	s.filter = f
	var found []*core.Agent
	for id := range s.agents {
		if a, err := s.Agent(ctx, actor, id); err == nil {
			found = append(found, a)
		}
	}
	return found, len(found), nil
}

func (s *store) AgentDependencies(context.Context, core.Actor) ([]core.Dependency, error) {
	var found []core.Dependency
	for _, a := range s.agents {
		found = append(found, core.Dependency{Type: a.Type, Model: a.Model})
	}
	return found, nil
}

func (s *store) UpdateAgent(_ context.Context, _ *core.AuditRecord, _ core.Actor, a *core.Agent) error {
	if s.interfering > 0 {
		s.interfering--
		s.agents[a.ID].Version++
	}
	if s.agents[a.ID].Version != a.Version {
		return &core.Error{Code: core.CodePreconditionFailed, Message: "The agent has changed"}
	}
	a.Version++
	stored := *a
	s.agents[a.ID] = &stored
	return nil
}

// servers are MCP servers in memory, by id.
type servers map[string]*core.MCPServer

func (s servers) find(actor core.Actor, is func(*core.MCPServer) bool) (*core.MCPServer, error) {
	for _, server := range s {
		if is(server) && (server.Shared || server.CreatedBy == actor.UserID || actor.Admin()) {
			return server, nil
		}
	}
	return nil, core.NotFound("MCP server", "")
}

func (s servers) MCPServer(_ context.Context, actor core.Actor, id string) (*core.MCPServer, error) {
	return s.find(actor, func(server *core.MCPServer) bool { return server.ID == id })
}

func (s servers) MCPServerBySlug(_ context.Context, actor core.Actor, slug string) (*core.MCPServer, error) {
	return s.find(actor, func(server *core.MCPServer) bool { return server.Slug == slug })
}

// plugins are agent types and models.
type plugins struct {
	types  []core.AgentType
	models []string
	broken []core.Dependency
}

func (p *plugins) AgentTypes() []core.AgentType { return p.types }

func (p *plugins) CheckModel(_ context.Context, field, model string) error {
	if !slices.Contains(p.models, model) {
		return core.Invalid(field, "Model %q is not available.", model)
	}
	return nil
}

func (p *plugins) Broken(dependencies []core.Dependency) []core.Dependency {
	return slices.DeleteFunc(slices.Clone(dependencies),
		func(d core.Dependency) bool { return !slices.Contains(p.broken, d) })
}
