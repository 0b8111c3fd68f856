package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/agentarea/agentarea/core"
)

// agentRequest is an agent as its user writes it.
type agentRequest struct {
	Name        string           `json:"name" pattern:"\\S" patternDescription:"Must not be empty" maxLength:"128"`
	Description string           `json:"description,omitempty" maxLength:"4096"`
	Type        string           `json:"type" doc:"One of GET /v1/agent-types"`
	Status      core.AgentStatus `json:"status,omitempty" enum:"active,inactive" default:"active" doc:"An inactive agent takes no messages"`
	Shared      bool             `json:"shared,omitempty" doc:"Others may use it, not change it"`
	Config      object           `json:"config,omitempty" doc:"Valid by the config_schema of the type"`
}

// agentReplacement takes an agent as GET gives it, and leaves alone what the
// server decides.
type agentReplacement struct {
	Name        string           `json:"name" pattern:"\\S" patternDescription:"Must not be empty" maxLength:"128"`
	Description string           `json:"description,omitempty" maxLength:"4096"`
	Type        string           `json:"type" doc:"One of GET /v1/agent-types"`
	Status      core.AgentStatus `json:"status,omitempty" enum:"active,inactive,error" default:"active" doc:"error, which the server shows while a part is down, leaves the status as it was set"`
	Shared      bool             `json:"shared,omitempty" doc:"Others may use it, not change it"`
	Config      object           `json:"config,omitempty" doc:"Valid by the config_schema of the type"`
	ID          string           `json:"id,omitempty" readOnly:"true"`
	CreatedAt   string           `json:"created_at,omitempty" readOnly:"true"`
	UpdatedAt   string           `json:"updated_at,omitempty" readOnly:"true"`
	CreatedBy   string           `json:"created_by,omitempty" readOnly:"true"`
}

// agentChange documents a merge patch.
type agentChange struct {
	Name        *string           `json:"name,omitempty" pattern:"\\S" patternDescription:"Must not be empty" maxLength:"128"`
	Description *string           `json:"description,omitempty" maxLength:"4096"`
	Type        *string           `json:"type,omitempty"`
	Status      *core.AgentStatus `json:"status,omitempty" enum:"active,inactive"`
	Shared      *bool             `json:"shared,omitempty"`
	Config      *object           `json:"config,omitempty" doc:"Merged with the config: null takes a field away"`
}

// agentPatch is an RFC 7396 merge patch.
type agentPatch []byte

// UnmarshalJSON implements json.Unmarshaler.
func (p *agentPatch) UnmarshalJSON(b []byte) error {
	*p = append((*p)[:0], b...)
	return nil
}

// Schema implements huma.SchemaProvider.
func (agentPatch) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[agentChange](), true, "AgentChange")
}

type agent struct {
	ID          string           `json:"id"`
	Name        string           `json:"name"`
	Description string           `json:"description"`
	Type        string           `json:"type"`
	Status      core.AgentStatus `json:"status" enum:"active,inactive,error" doc:"error while the type or the model's provider is down"`
	CreatedAt   stamp            `json:"created_at"`
	UpdatedAt   stamp            `json:"updated_at"`
	CreatedBy   string           `json:"created_by"`
	Shared      bool             `json:"shared"`
	Config      object           `json:"config"`
}

type agentList struct {
	Agents []agent `json:"agents"`
	Paged
}

type (
	agentInput struct {
		ID string `path:"agent_id"`
	}
	// AgentMatch names an agent, and the version that it must have.
	AgentMatch struct {
		ID      string `path:"agent_id"`
		IfMatch string `header:"If-Match" doc:"The ETag of the version to change; 412 when it has changed since"`
	}
	agentCreate struct{ Body agentRequest }
	agentPut    struct {
		AgentMatch
		Body agentReplacement
	}
	agentPatchInput struct {
		AgentMatch
		Body agentPatch
	}
	agentsInput struct {
		Page
		Type   string           `query:"type" doc:"Filter by agent type"`
		Status core.AgentStatus `query:"status" enum:"active,inactive,error" doc:"Filter by status"`
	}
	agentsOutput struct{ Body agentList }
	agentOutput  struct {
		ETag string `header:"ETag" doc:"The version, for If-Match"`
		Body agent
	}
	agentMade struct {
		Location string `header:"Location" doc:"Where the agent is"`
		ETag     string `header:"ETag" doc:"The version, for If-Match"`
		Body     agent
	}
)

var (
	exampleConfig  = object(`{"model":"gpt-4","temperature":0.7,"max_tokens":2000}`)
	exampleRequest = agentRequest{Name: "my-agent", Description: "Agent description", Type: "chat", Config: exampleConfig}
	exampleAgent   = agent{
		ID: "agent-789", Name: "my-agent", Description: "Agent description", Type: "chat", Status: core.AgentActive,
		CreatedAt: exampleTime, UpdatedAt: exampleTime, CreatedBy: "user-456", Config: exampleConfig,
	}
)

func (a *api) registerAgents() {
	register(a, operation{
		id: "list-agents", method: http.MethodGet, path: "/v1/agents/", tag: "Agents", summary: "List agents", access: signedIn,
		about:    "Your own and the shared ones, newest first; an admin sees all.",
		response: agentList{Agents: []agent{exampleAgent}, Paged: Paged{Total: 1, Limit: 20}}, errors: []core.Code{core.CodeValidation},
	}, a.listAgents)
	register(a, operation{
		id: "create-agent", method: http.MethodPost, path: "/v1/agents/", tag: "Agents", summary: "Create an agent", access: writer,
		about:  "The config is checked against the type's config_schema, and its model must be one that a provider serves.",
		status: http.StatusCreated, request: exampleRequest, response: exampleAgent,
	}, a.createAgent)
	register(a, operation{
		id: "get-agent", method: http.MethodGet, path: "/v1/agents/{agent_id}", tag: "Agents", summary: "Get an agent", access: signedIn,
		about: "Its ETag is the version that If-Match takes.", response: exampleAgent,
	}, func(ctx context.Context, in *agentInput) (*agentOutput, error) {
		ag, err := a.agents.Agent(ctx, actor(ctx), in.ID)
		if err != nil {
			return nil, err
		}
		return a.agentReply(ag), nil
	})
	changes := []core.Code{core.CodePreconditionFailed}
	register(a, operation{
		id: "replace-agent", method: http.MethodPut, path: "/v1/agents/{agent_id}", tag: "Agents", summary: "Update an agent", access: writer,
		about:   "Replaces the agent: what is left out gets its default. An agent as GET gives it may be sent back.",
		request: exampleRequest, response: exampleAgent, errors: changes,
	}, a.replaceAgent)
	register(a, operation{
		id: "change-agent", method: http.MethodPatch, path: "/v1/agents/{agent_id}", tag: "Agents", summary: "Change parts of an agent", access: writer,
		about:   "Takes an RFC 7396 merge patch: what is left out stays, null takes away.",
		request: json.RawMessage(`{"description":"A better description","config":{"temperature":0.2}}`), response: exampleAgent, errors: changes,
	}, a.changeAgent)
	a.alsoMergePatch("/v1/agents/{agent_id}")
	register(a, operation{
		id: "delete-agent", method: http.MethodDelete, path: "/v1/agents/{agent_id}", tag: "Agents", summary: "Delete an agent", access: writer,
		about: "Its sessions, messages and runs go with it. While a run of it is under way it is 409.", status: http.StatusNoContent,
		errors: []core.Code{core.CodePreconditionFailed, core.CodeConflict},
	}, a.deleteAgent)
}

// alsoMergePatch lets the PATCH of a path be sent by the name of its format.
func (a *api) alsoMergePatch(path string) {
	content := a.huma.OpenAPI().Paths[path].Patch.RequestBody.Content
	content["application/merge-patch+json"] = content["application/json"]
}

func (a *api) listAgents(ctx context.Context, in *agentsInput) (*agentsOutput, error) {
	v := actor(ctx)
	f := core.AgentFilter{Type: in.Type, Status: in.Status, Page: in.core()}
	if f.Status != "" {
		dependencies, err := a.agents.AgentDependencies(ctx, v)
		if err != nil {
			return nil, err
		}
		f.Broken = a.plugins.Broken(dependencies)
	}
	found, total, err := a.agents.Agents(ctx, v, f)
	if err != nil {
		return nil, err
	}
	return &agentsOutput{Body: agentList{Agents: a.agentBodies(found), Paged: in.reply(total)}}, nil
}

func (a *api) createAgent(ctx context.Context, in *agentCreate) (*agentMade, error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	ag := &core.Agent{
		ID: core.NewID("agent"), Version: 1, CreatedBy: actor(ctx).UserID, CreatedAt: now, UpdatedAt: now,
	}
	core.SetAuditTarget(ctx, ag.ID)
	in.Body.applyTo(ag)
	if err := a.checkConfig(ctx, nil, ag); err != nil {
		return nil, err
	}
	if err := a.agents.CreateAgent(ctx, ag); err != nil {
		return nil, err
	}
	out := a.agentReply(ag)
	return &agentMade{Location: "/v1/agents/" + ag.ID, ETag: out.ETag, Body: out.Body}, nil
}

func (a *api) replaceAgent(ctx context.Context, in *agentPut) (*agentOutput, error) {
	return a.updateAgent(ctx, in.AgentMatch, func(ag *core.Agent) error {
		b := in.Body
		if b.Status == core.AgentError {
			b.Status = ag.Status
		}
		(&agentRequest{b.Name, b.Description, b.Type, b.Status, b.Shared, b.Config}).applyTo(ag)
		return nil
	})
}

func (a *api) changeAgent(ctx context.Context, in *agentPatchInput) (*agentOutput, error) {
	return a.updateAgent(ctx, in.AgentMatch, func(ag *core.Agent) error {
		now, err := json.Marshal(agentRequest{ag.Name, ag.Description, ag.Type, ag.Status, ag.Shared, object(ag.Config)})
		if err != nil {
			return fmt.Errorf("encode the agent: %w", err)
		}
		merged, err := jsonpatch.MergePatch(now, in.Body)
		if err != nil {
			return core.Invalid("body", "Must be a JSON merge patch")
		}
		var next agentRequest
		if err := json.Unmarshal(merged, &next); err != nil {
			return core.Invalid("body", "Must be a JSON merge patch")
		}
		// Huma has checked what the patch says, but null is taken as not said.
		switch {
		case next.Name == "":
			return core.Invalid("name", "Field is required")
		case next.Type == "":
			return core.Invalid("type", "Field is required")
		case next.Status == "":
			next.Status = core.AgentActive
		}
		next.applyTo(ag)
		return nil
	})
}

// maxRaces is how often a change that names no version is tried again after
// another one came in between.
const maxRaces = 5

func (a *api) updateAgent(ctx context.Context, in AgentMatch, apply func(*core.Agent) error) (*agentOutput, error) {
	v := actor(ctx)
	for try := 1; ; try++ {
		ag, err := a.agents.Agent(ctx, v, in.ID)
		if err != nil {
			return nil, err
		}
		if err := matches(in.IfMatch, "agent", ag.Version); err != nil {
			return nil, err
		}
		old := *ag
		if err := apply(ag); err != nil {
			return nil, err
		}
		if err := a.checkConfig(ctx, &old, ag); err != nil {
			return nil, err
		}
		ag.UpdatedAt = time.Now().UTC().Truncate(time.Microsecond)
		err = a.agents.UpdateAgent(ctx, v, ag)
		if core.CodeOf(err) == core.CodePreconditionFailed && in.IfMatch == "" && try < maxRaces {
			continue
		}
		if err != nil {
			return nil, err
		}
		ag.Version = old.Version + 1
		return a.agentReply(ag), nil
	}
}

func (a *api) deleteAgent(ctx context.Context, in *AgentMatch) (*struct{}, error) {
	v := actor(ctx)
	var version int64
	if in.IfMatch != "" {
		ag, err := a.agents.Agent(ctx, v, in.ID)
		if err != nil {
			return nil, err
		}
		if err := matches(in.IfMatch, "agent", ag.Version); err != nil {
			return nil, err
		}
		version = ag.Version
	}
	return nil, a.agents.DeleteAgent(ctx, v, in.ID, version)
}

func (r *agentRequest) applyTo(ag *core.Agent) {
	ag.Name, ag.Description, ag.Type = r.Name, r.Description, r.Type
	ag.Status, ag.Shared = r.Status, r.Shared
	ag.Config = json.RawMessage(r.Config)
	if len(ag.Config) == 0 {
		ag.Config = json.RawMessage("{}")
	}
}

func (a *api) agentReply(ag *core.Agent) *agentOutput {
	return &agentOutput{ETag: etag(ag.Version), Body: a.agentBodies([]*core.Agent{ag})[0]}
}

// agentBodies shows agents, with the status error for those whose type or
// provider is down.
func (a *api) agentBodies(agents []*core.Agent) []agent {
	dependencies := make([]core.Dependency, 0, len(agents))
	for _, ag := range agents {
		if b := (core.Dependency{Type: ag.Type, Model: ag.Model}); !slices.Contains(dependencies, b) {
			dependencies = append(dependencies, b)
		}
	}
	broken := a.plugins.Broken(dependencies)
	bodies := make([]agent, 0, len(agents))
	for _, ag := range agents {
		status := ag.Status
		if slices.Contains(broken, core.Dependency{Type: ag.Type, Model: ag.Model}) {
			status = core.AgentError
		}
		bodies = append(bodies, agent{
			ID: ag.ID, Name: ag.Name, Description: ag.Description, Type: ag.Type, Status: status,
			CreatedAt: stamp(ag.CreatedAt), UpdatedAt: stamp(ag.UpdatedAt), CreatedBy: ag.CreatedBy,
			Shared: ag.Shared, Config: object(ag.Config),
		})
	}
	return bodies
}

// checkConfig checks an agent's type, config and model, as far as they have
// changed, and sets its Model.
func (a *api) checkConfig(ctx context.Context, old, ag *core.Agent) error {
	if old != nil && old.Type == ag.Type && bytes.Equal(old.Config, ag.Config) {
		return nil
	}
	types := a.plugins.AgentTypes()
	i := slices.IndexFunc(types, func(t core.AgentType) bool { return t.Type == ag.Type })
	if i < 0 {
		return unknownType(ag.Type, types)
	}
	if err := a.schemas.check(types[i], ag.Config); err != nil {
		return err
	}
	var c struct {
		Model string `json:"model"`
	}
	if err := json.Unmarshal(ag.Config, &c); err != nil {
		return core.Invalid("config.model", "Must be a string")
	}
	ag.Model = c.Model
	if ag.Model == "" || old != nil && old.Model == ag.Model {
		return nil
	}
	return a.plugins.CheckModel(ctx, "config.model", ag.Model)
}

func unknownType(name string, types []core.AgentType) error {
	if len(types) == 0 {
		return core.Invalid("type", "There is no agent type %q, nor any other: an admin must enable an agent plugin", name)
	}
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.Type
	}
	return core.Invalid("type", "There is no agent type %q; there are: %s", name, strings.Join(names, ", "))
}
