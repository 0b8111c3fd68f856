package agents

import (
	"encoding/json"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// agentRequest is an agent in a request.
type agentRequest struct {
	Name        string           `json:"name" pattern:"\\S" patternDescription:"Must not be empty" maxLength:"128"`
	Description string           `json:"description,omitempty" maxLength:"4096"`
	Type        string           `json:"type" doc:"One of the types of GET /v1/agent-types"`
	Status      core.AgentStatus `json:"status,omitempty" enum:"active,inactive" default:"active" doc:"An inactive agent accepts no messages"`
	Shared      bool             `json:"shared,omitempty" doc:"Other users can use this agent but cannot change it"`
	Config      api.Object       `json:"config,omitempty" doc:"Must be valid against the config_schema of the type"`
}

// agentReplacement accepts an agent as GET returns it. The fields that the server sets are ignored.
type agentReplacement struct {
	Name        string            `json:"name" pattern:"\\S" patternDescription:"Must not be empty" maxLength:"128"`
	Description string            `json:"description,omitempty" maxLength:"4096"`
	Type        string            `json:"type" doc:"One of the types of GET /v1/agent-types"`
	Status      core.AgentStatus  `json:"status,omitempty" enum:"active,inactive,error" default:"active" doc:"active or inactive. The server reports error while a dependency is down; if you send error, the stored status stays"`
	Shared      bool              `json:"shared,omitempty" doc:"Other users can use this agent but cannot change it"`
	Config      api.Object        `json:"config,omitempty" doc:"Must be valid against the config_schema of the type"`
	ID          string            `json:"id,omitempty" readOnly:"true"`
	CreatedAt   string            `json:"created_at,omitempty" readOnly:"true"`
	UpdatedAt   string            `json:"updated_at,omitempty" readOnly:"true"`
	CreatedBy   string            `json:"created_by,omitempty" readOnly:"true"`
	Warnings    []core.FieldError `json:"warnings,omitempty" readOnly:"true"`
}

// agentChange documents the fields of a merge patch.
type agentChange struct {
	Name        *string           `json:"name,omitempty" pattern:"\\S" patternDescription:"Must not be empty" maxLength:"128"`
	Description *string           `json:"description,omitempty" maxLength:"4096"`
	Type        *string           `json:"type,omitempty"`
	Status      *core.AgentStatus `json:"status,omitempty" enum:"active,inactive"`
	Shared      *bool             `json:"shared,omitempty"`
	Config      *api.Object       `json:"config,omitempty" doc:"Merged with the config. null removes a field"`
}

type agent struct {
	ID          string           `json:"id"`
	Name        string           `json:"name"`
	Description string           `json:"description"`
	Type        string           `json:"type"`
	Status      core.AgentStatus `json:"status" enum:"active,inactive,error" doc:"error while the type or the model's provider is down"`
	CreatedAt   api.Time         `json:"created_at"`
	UpdatedAt   api.Time         `json:"updated_at"`
	CreatedBy   string           `json:"created_by"`
	Shared      bool             `json:"shared"`
	Config      api.Object       `json:"config"`

	Warnings []core.FieldError `json:"warnings,omitempty" doc:"Only in the reply to a request that creates or changes the agent: what does not work in its runs, such as an MCP server that is down or a tool pattern that matches nothing"`
}

type agentList struct {
	Agents []agent `json:"agents"`
	api.Paged
}

type (
	agentInput struct {
		ID string `path:"agent_id"`
	}
	// AgentMatch selects an agent and the version that it must have.
	AgentMatch struct {
		ID      string `path:"agent_id"`
		IfMatch string `header:"If-Match" doc:"The ETag of the version to change. If the agent has changed since then, the request fails with 412"`
	}
	agentCreate struct{ Body agentRequest }
	agentPut    struct {
		AgentMatch
		Body agentReplacement
	}
	agentPatchInput struct {
		AgentMatch
		Body api.Patch[agentChange]
	}
	agentsInput struct {
		api.Page
		Type   string           `query:"type" doc:"Filter by agent type"`
		Status core.AgentStatus `query:"status" enum:"active,inactive,error" doc:"Filter by status"`
	}
	agentsOutput struct{ Body agentList }
	agentOutput  struct {
		ETag string `header:"ETag" doc:"For If-None-Match, and for If-Match, which compares only the version in it"`
		Body agent
	}
	agentMade struct {
		Location string `header:"Location" doc:"The path of the agent"`
		ETag     string `header:"ETag" doc:"For If-None-Match, and for If-Match, which compares only the version in it"`
		Body     agent
	}
)

var (
	exampleConfig  = api.Object(`{"model":"gpt-4","temperature":0.7,"max_tokens":2000}`)
	exampleRequest = agentRequest{Name: "my-agent", Description: "Agent description", Type: "chat", Config: exampleConfig}
	exampleAgent   = agent{
		ID: "agent-789", Name: "my-agent", Description: "Agent description", Type: "chat", Status: core.AgentActive,
		CreatedAt: api.ExampleTime, UpdatedAt: api.ExampleTime, CreatedBy: "user-456", Config: exampleConfig,
	}
)

// applyTo sets the fields of ag to those of the request.
func (r *agentRequest) applyTo(ag *core.Agent) {
	ag.Name, ag.Description, ag.Type = r.Name, r.Description, r.Type
	ag.Status, ag.Shared, ag.Config = r.Status, r.Shared, json.RawMessage(r.Config)
}

func newAgentOutput(ag *core.Agent, err error) (*agentOutput, error) {
	if err != nil {
		return nil, err
	}
	return &agentOutput{ETag: api.ETag(ag.Version), Body: newAgentBody(ag)}, nil
}

func newAgentMade(ag *core.Agent, err error) (*agentMade, error) {
	if err != nil {
		return nil, err
	}
	return &agentMade{Location: "/v1/agents/" + ag.ID, ETag: api.ETag(ag.Version), Body: newAgentBody(ag)}, nil
}

func newAgentBody(ag *core.Agent) agent {
	return agent{
		ID: ag.ID, Name: ag.Name, Description: ag.Description, Type: ag.Type, Status: ag.Status,
		CreatedAt: api.Time(ag.CreatedAt), UpdatedAt: api.Time(ag.UpdatedAt), CreatedBy: ag.CreatedBy,
		Shared: ag.Shared, Config: api.Object(ag.Config), Warnings: ag.Warnings,
	}
}
