// Package agents serves agents.
package agents

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// Agents manages agents. Package agents of core/internal implements it.
type Agents interface {
	// Create validates and stores a new agent, and sets the other fields of a. It fails with Invalid or
	// Unavailable.
	Create(ctx context.Context, audit *core.AuditRecord, v core.Actor, a *core.Agent) error
	// Get fails with NotFound if the actor may not see the agent.
	Get(ctx context.Context, v core.Actor, id string) (*core.Agent, error)
	// List returns a page of agents, newest first, and their total number.
	List(ctx context.Context, v core.Actor, f core.AgentFilter) ([]*core.Agent, int, error)
	// Update changes and stores an agent. It calls change again if another update interferes. It fails as
	// Create does, with NotFound or Forbidden, or with the error of change.
	Update(
		ctx context.Context, audit *core.AuditRecord, v core.Actor, id string, change func(*core.Agent) error,
	) (*core.Agent, error)
	// Delete fails with NotFound, Forbidden or PreconditionFailed, or with Conflict during a run of the
	// agent.
	Delete(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string, d core.AgentDeletion) error
}

type handlers struct{ agents Agents }

// Register adds the operations of the group.
func Register(a *api.API, agents Agents) {
	const (
		listPath  = "/v1/agents/"
		agentPath = "/v1/agents/{agent_id}"
	)
	h := &handlers{agents}
	api.Register(a, api.Operation{
		ID: "list-agents", Method: http.MethodGet, Path: listPath,
		Tag: "Agents", Summary: "List agents", Access: api.SignedIn,
		Description: "Your own and the shared agents, newest first. An admin sees all agents.",
		Response:    agentList{Agents: []agent{exampleAgent}, Paged: api.Paged{Total: 1, Limit: 20}},
		Errors:      []core.Code{core.CodeValidation},
		Large:       true,
	}, h.list)
	api.RegisterRepeatable(a, api.Operation{
		ID: "create-agent", Method: http.MethodPost, Path: listPath,
		Tag: "Agents", Summary: "Create an agent", Access: api.Writer,
		Description: "The config must be valid against the config_schema of the type, and a provider must serve its model.",
		Status:      http.StatusCreated, Request: exampleRequest, Response: exampleAgent,
	}, h.create, func(ctx context.Context, _ *agentCreate, id string) (*agentMade, error) {
		return newAgentMade(h.agents.Get(ctx, api.Actor(ctx), id))
	})
	api.Register(a, api.Operation{
		ID: "get-agent", Method: http.MethodGet, Path: agentPath,
		Tag: "Agents", Summary: "Get an agent", Access: api.SignedIn,
		Description: "The ETag of the reply is for If-Match, which compares only the version in it, and for If-None-Match.",
		Response:    exampleAgent,
		Large:       true,
	}, h.get)
	changes := []core.Code{core.CodePreconditionFailed}
	api.Register(a, api.Operation{
		ID: "replace-agent", Method: http.MethodPut, Path: agentPath,
		Tag: "Agents", Summary: "Update an agent", Access: api.Writer,
		Description: "Replaces the agent. Omitted fields get their default values. Accepts an agent as GET returns it.",
		Request:     exampleRequest, Response: exampleAgent, Errors: changes,
	}, h.replace)
	api.Register(a, api.Operation{
		ID: "change-agent", Method: http.MethodPatch, Path: agentPath,
		Tag: "Agents", Summary: "Change parts of an agent", Access: api.Writer,
		Description: "Applies an RFC 7396 merge patch: omitted fields keep their value, null removes a field.",
		Request:     json.RawMessage(`{"description":"A better description","config":{"temperature":0.2}}`), MergePatch: true,
		Response: exampleAgent, Errors: changes, Large: true,
	}, h.change)
	api.Register(a, api.Operation{
		ID: "delete-agent", Method: http.MethodDelete, Path: agentPath,
		Tag: "Agents", Summary: "Delete an agent", Access: api.Writer,
		Description: "Deletes its sessions, messages, runs and tasks, too. An API key also needs chat:write if the agent " +
			"has sessions, and tasks:write if it has tasks. While a run of the agent is active, the request " +
			"fails with 409.",
		Status: http.StatusNoContent,
		Errors: []core.Code{core.CodePreconditionFailed, core.CodeConflict},
	}, h.delete)
}

func (h *handlers) list(ctx context.Context, in *agentsInput) (*agentsOutput, error) {
	found, paged, err := api.ReadPage(ctx, in.Limit, in.Paging, func(p core.Page) ([]*core.Agent, int, error) {
		return h.agents.List(ctx, api.Actor(ctx), core.AgentFilter{Type: in.Type, Status: in.Status, Page: p})
	}, func(ag *core.Agent) core.PageKey { return api.Newest(ag.CreatedAt, ag.ID) })
	if err != nil {
		return nil, err
	}
	list := agentList{Agents: make([]agent, len(found)), Paged: paged}
	for i, ag := range found {
		list.Agents[i] = newAgentBody(ag)
	}
	return &agentsOutput{Body: list}, nil
}

func (h *handlers) create(ctx context.Context, in *agentCreate) (*agentMade, error) {
	ag := new(core.Agent)
	in.Body.applyTo(ag)
	return newAgentMade(ag, h.agents.Create(ctx, api.Audit(ctx), api.Actor(ctx), ag))
}

func (h *handlers) get(ctx context.Context, in *agentInput) (*agentOutput, error) {
	return newAgentOutput(h.agents.Get(ctx, api.Actor(ctx), in.ID))
}

func (h *handlers) replace(ctx context.Context, in *agentPut) (*agentOutput, error) {
	return h.update(ctx, in.AgentMatch, func(ag *core.Agent) error {
		b := in.Body
		(&agentRequest{b.Name, b.Description, b.Type, b.Status, b.Shared, b.Config}).applyTo(ag)
		return nil
	})
}

func (h *handlers) change(ctx context.Context, in *agentPatchInput) (*agentOutput, error) {
	return h.update(ctx, in.AgentMatch, func(ag *core.Agent) error {
		now := agentRequest{ag.Name, ag.Description, ag.Type, ag.Status, ag.Shared, api.Object(ag.Config)}
		var next agentRequest
		if err := api.MergePatch(now, in.Body, &next); err != nil {
			return err
		}
		// Huma has validated the patch, but accepts null for every field.
		switch {
		case next.Name == "":
			return core.Invalid("name", "Field is required")
		case next.Type == "":
			return core.Invalid("type", "Field is required")
		}
		next.applyTo(ag)
		return nil
	})
}

// update applies a change to an agent that has one of the versions of If-Match.
func (h *handlers) update(ctx context.Context, in AgentMatch, change func(*core.Agent) error) (*agentOutput, error) {
	return newAgentOutput(h.agents.Update(ctx, api.Audit(ctx), api.Actor(ctx), in.ID, func(ag *core.Agent) error {
		if err := api.CheckIfMatch(in.IfMatch, "agent", ag.Version); err != nil {
			return err
		}
		return change(ag)
	}))
}

func (h *handlers) delete(ctx context.Context, in *AgentMatch) (*struct{}, error) {
	v := api.Actor(ctx)
	d := core.AgentDeletion{
		KeepSessions: !api.Allows(ctx, core.ResourceChat, true), KeepTasks: !api.Allows(ctx, core.ResourceTasks, true),
	}
	if in.IfMatch != "" {
		ag, err := h.agents.Get(ctx, v, in.ID)
		if err != nil {
			return nil, err
		}
		if err := api.CheckIfMatch(in.IfMatch, "agent", ag.Version); err != nil {
			return nil, err
		}
		d.Version = ag.Version
	}
	return nil, h.agents.Delete(ctx, api.Audit(ctx), v, in.ID, d)
}
