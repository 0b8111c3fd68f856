// Package agents serves agents.
package agents

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// Reader reads agents.
type Reader interface {
	// Agent fails with NotFound if the actor may not see the agent.
	Agent(ctx context.Context, v core.Actor, id string) (*core.Agent, error)
	// Agents returns a page of agents, newest first, and the number of all.
	Agents(ctx context.Context, v core.Actor, f core.AgentFilter) ([]*core.Agent, int, error)
	// AgentDependencies returns the dependencies of the agents that the actor may see.
	AgentDependencies(ctx context.Context, v core.Actor) ([]core.Dependency, error)
}

// Writer stores agents.
type Writer interface {
	CreateAgent(ctx context.Context, audit *core.AuditRecord, a *core.Agent) error
	// UpdateAgent fails with NotFound, with Forbidden, or with PreconditionFailed if the stored
	// version is not a.Version.
	UpdateAgent(ctx context.Context, audit *core.AuditRecord, v core.Actor, a *core.Agent) error
	// DeleteAgent fails as UpdateAgent does, or with Conflict during a run of the agent. A version of
	// 0 accepts every version.
	DeleteAgent(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string, version int64) error
}

// Plugins provides agent types and models.
type Plugins interface {
	AgentTypes() []core.AgentType
	// CheckModel fails with Invalid of the field if no provider serves the model.
	CheckModel(ctx context.Context, field, model string) error
	// Broken returns those of the dependencies that are down.
	Broken(dependencies []core.Dependency) []core.Dependency
}

// Options are the dependencies of the group.
type Options struct {
	Reader  Reader
	Writer  Writer
	Plugins Plugins
}

type handlers struct {
	Options
	schemas configSchemas
}

// Register adds the operations of the group.
func Register(a *api.API, o Options) {
	const (
		listPath  = "/v1/agents/"
		agentPath = "/v1/agents/{agent_id}"
	)
	h := &handlers{Options: o}
	api.Register(a, api.Operation{
		ID: "list-agents", Method: http.MethodGet, Path: listPath, Tag: "Agents", Summary: "List agents", Access: api.SignedIn,
		Description: "Your own and the shared agents, newest first. An admin sees all agents.",
		Response:    agentList{Agents: []agent{exampleAgent}, Paged: api.Paged{Total: 1, Limit: 20}}, Errors: []core.Code{core.CodeValidation},
	}, h.list)
	api.Register(a, api.Operation{
		ID: "create-agent", Method: http.MethodPost, Path: listPath, Tag: "Agents", Summary: "Create an agent", Access: api.Writer,
		Description: "The config must be valid against the config_schema of the type, and a provider must serve its model.",
		Status:      http.StatusCreated, Request: exampleRequest, Response: exampleAgent,
	}, h.create)
	api.Register(a, api.Operation{
		ID: "get-agent", Method: http.MethodGet, Path: agentPath, Tag: "Agents", Summary: "Get an agent", Access: api.SignedIn,
		Description: "The ETag of the reply is the version for If-Match.", Response: exampleAgent,
	}, h.get)
	changes := []core.Code{core.CodePreconditionFailed}
	api.Register(a, api.Operation{
		ID: "replace-agent", Method: http.MethodPut, Path: agentPath, Tag: "Agents", Summary: "Update an agent", Access: api.Writer,
		Description: "Replaces the agent. Omitted fields get their default values. Accepts an agent as GET returns it.",
		Request:     exampleRequest, Response: exampleAgent, Errors: changes,
	}, h.replace)
	api.Register(a, api.Operation{
		ID: "change-agent", Method: http.MethodPatch, Path: agentPath, Tag: "Agents", Summary: "Change parts of an agent", Access: api.Writer,
		Description: "Applies an RFC 7396 merge patch: omitted fields keep their value, null removes a field.",
		Request:     json.RawMessage(`{"description":"A better description","config":{"temperature":0.2}}`), MergePatch: true,
		Response: exampleAgent, Errors: changes,
	}, h.change)
	api.Register(a, api.Operation{
		ID: "delete-agent", Method: http.MethodDelete, Path: agentPath, Tag: "Agents", Summary: "Delete an agent", Access: api.Writer,
		Description: "Deletes its sessions, messages and runs, too. 409 during a run of the agent.", Status: http.StatusNoContent,
		Errors: []core.Code{core.CodePreconditionFailed, core.CodeConflict},
	}, h.delete)
}

func (h *handlers) list(ctx context.Context, in *agentsInput) (*agentsOutput, error) {
	v := api.Actor(ctx)
	f := core.AgentFilter{Type: in.Type, Status: in.Status, Page: in.Bounds()}
	if f.Status != "" {
		dependencies, err := h.Reader.AgentDependencies(ctx, v)
		if err != nil {
			return nil, err
		}
		f.Broken = h.Plugins.Broken(dependencies)
	}
	found, total, err := h.Reader.Agents(ctx, v, f)
	if err != nil {
		return nil, err
	}
	return &agentsOutput{Body: agentList{Agents: h.bodies(found), Paged: in.Paged(total)}}, nil
}

func (h *handlers) create(ctx context.Context, in *agentCreate) (*agentMade, error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	ag := &core.Agent{
		ID: core.NewID("agent"), Version: 1, CreatedBy: api.Actor(ctx).UserID, CreatedAt: now, UpdatedAt: now,
	}
	audit := api.Audit(ctx)
	audit.SetTarget(ag.ID)
	in.Body.applyTo(ag)
	if err := h.checkConfig(ctx, nil, ag); err != nil {
		return nil, err
	}
	if err := h.Writer.CreateAgent(ctx, audit, ag); err != nil {
		return nil, err
	}
	out := h.output(ag)
	return &agentMade{Location: "/v1/agents/" + ag.ID, ETag: out.ETag, Body: out.Body}, nil
}

func (h *handlers) get(ctx context.Context, in *agentInput) (*agentOutput, error) {
	ag, err := h.Reader.Agent(ctx, api.Actor(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return h.output(ag), nil
}

func (h *handlers) replace(ctx context.Context, in *agentPut) (*agentOutput, error) {
	return h.update(ctx, in.AgentMatch, func(ag *core.Agent) error {
		b := in.Body
		if b.Status == core.AgentError {
			b.Status = ag.Status
		}
		(&agentRequest{b.Name, b.Description, b.Type, b.Status, b.Shared, b.Config}).applyTo(ag)
		return nil
	})
}

func (h *handlers) change(ctx context.Context, in *agentPatchInput) (*agentOutput, error) {
	return h.update(ctx, in.AgentMatch, func(ag *core.Agent) error {
		now, err := json.Marshal(agentRequest{ag.Name, ag.Description, ag.Type, ag.Status, ag.Shared, api.Object(ag.Config)})
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
		// Huma has validated the patch, but accepts null for every field.
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

// update reads an agent, applies a change and stores it. Without an If-Match it tries again if
// another update interferes.
func (h *handlers) update(ctx context.Context, in AgentMatch, apply func(*core.Agent) error) (*agentOutput, error) {
	v := api.Actor(ctx)
	for try := 1; ; try++ {
		ag, err := h.Reader.Agent(ctx, v, in.ID)
		if err != nil {
			return nil, err
		}
		if err := api.CheckIfMatch(in.IfMatch, "agent", ag.Version); err != nil {
			return nil, err
		}
		old := *ag
		if err := apply(ag); err != nil {
			return nil, err
		}
		if err := h.checkConfig(ctx, &old, ag); err != nil {
			return nil, err
		}
		ag.UpdatedAt = time.Now().UTC().Truncate(time.Microsecond)
		err = h.Writer.UpdateAgent(ctx, api.Audit(ctx), v, ag)
		if core.CodeOf(err) == core.CodePreconditionFailed && in.IfMatch == "" && try < api.MaxUpdateTries {
			continue
		}
		if err != nil {
			return nil, err
		}
		ag.Version = old.Version + 1
		return h.output(ag), nil
	}
}

func (h *handlers) delete(ctx context.Context, in *AgentMatch) (*struct{}, error) {
	v := api.Actor(ctx)
	var version int64
	if in.IfMatch != "" {
		ag, err := h.Reader.Agent(ctx, v, in.ID)
		if err != nil {
			return nil, err
		}
		if err := api.CheckIfMatch(in.IfMatch, "agent", ag.Version); err != nil {
			return nil, err
		}
		version = ag.Version
	}
	return nil, h.Writer.DeleteAgent(ctx, api.Audit(ctx), v, in.ID, version)
}

func (h *handlers) output(ag *core.Agent) *agentOutput {
	return &agentOutput{ETag: api.ETag(ag.Version), Body: h.bodies([]*core.Agent{ag})[0]}
}

// bodies returns the bodies of agents, with the status error for those whose type or provider is
// down.
func (h *handlers) bodies(agents []*core.Agent) []agent {
	dependencies := make([]core.Dependency, 0, len(agents))
	for _, ag := range agents {
		if d := (core.Dependency{Type: ag.Type, Model: ag.Model}); !slices.Contains(dependencies, d) {
			dependencies = append(dependencies, d)
		}
	}
	broken := h.Plugins.Broken(dependencies)
	bodies := make([]agent, 0, len(agents))
	for _, ag := range agents {
		status := ag.Status
		if slices.Contains(broken, core.Dependency{Type: ag.Type, Model: ag.Model}) {
			status = core.AgentError
		}
		bodies = append(bodies, agent{
			ID: ag.ID, Name: ag.Name, Description: ag.Description, Type: ag.Type, Status: status,
			CreatedAt: api.Time(ag.CreatedAt), UpdatedAt: api.Time(ag.UpdatedAt), CreatedBy: ag.CreatedBy,
			Shared: ag.Shared, Config: api.Object(ag.Config),
		})
	}
	return bodies
}

// checkConfig checks the type, the config and the model of an agent if they differ from those of
// old, which may be nil. It sets ag.Model. It fails with Invalid or Unavailable.
func (h *handlers) checkConfig(ctx context.Context, old, ag *core.Agent) error {
	if old != nil && old.Type == ag.Type && bytes.Equal(old.Config, ag.Config) {
		return nil
	}
	types := h.Plugins.AgentTypes()
	i := slices.IndexFunc(types, func(t core.AgentType) bool { return t.Type == ag.Type })
	if i < 0 {
		return unknownType(ag.Type, types)
	}
	if err := h.schemas.check(types[i], ag.Config); err != nil {
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
	return h.Plugins.CheckModel(ctx, "config.model", ag.Model)
}

// unknownType returns the Invalid error of an agent type that does not exist.
func unknownType(name string, types []core.AgentType) error {
	if len(types) == 0 {
		return core.Invalid("type", "Agent type %q does not exist. There are no agent types: an admin must enable an agent plugin.", name)
	}
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.Type
	}
	return core.Invalid("type", "Agent type %q does not exist. Agent types: %s", name, strings.Join(names, ", "))
}
