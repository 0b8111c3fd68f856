// Package sessions serves the chat sessions of an agent.
package sessions

import (
	"context"
	"net/http"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// Agents reads agents.
type Agents interface {
	// Agent fails with NotFound if the actor may not see the agent.
	Agent(ctx context.Context, v core.Actor, id string) (*core.Agent, error)
}

// Store lists and deletes sessions.
type Store interface {
	// Sessions returns a page of sessions, those with the newest turn first, and their total number.
	Sessions(ctx context.Context, f core.SessionFilter) ([]*core.Session, int, error)
	// DeleteSession fails with NotFound, or with Conflict during a turn.
	DeleteSession(ctx context.Context, audit *core.AuditRecord, agentID, userID, id string) error
}

type session struct {
	ID        string   `json:"id"`
	AgentID   string   `json:"agent_id"`
	UserID    string   `json:"user_id"`
	Messages  int      `json:"messages" doc:"The number of messages"`
	CreatedAt api.Time `json:"created_at"`
	UpdatedAt api.Time `json:"updated_at" doc:"The time of the newest turn"`
}

type sessionList struct {
	Sessions []session `json:"sessions"`
	api.Paged
}

type (
	sessionsInput struct {
		AgentID string `path:"agent_id"`
		api.Page
		api.UserParam
	}
	sessionInput struct {
		AgentID   string `path:"agent_id"`
		SessionID string `path:"session_id"`
		api.UserParam
	}
	sessionsOutput struct{ Body sessionList }
)

type handlers struct {
	agents Agents
	store  Store
}

// Register adds the operations of the group.
func Register(a *api.API, agents Agents, store Store) {
	h := &handlers{agents: agents, store: store}
	api.Register(a, api.Operation{
		ID: "list-sessions", Method: http.MethodGet,
		Path: "/v1/agents/{agent_id}/sessions", Tag: "Chat", Access: api.SignedIn,
		Summary: "List the sessions",
		Description: "Your conversations with the agent, the newest turn first. The session of a task has the id of the " +
			"task; an API key needs tasks:read to see it. A session with a new turn moves to the first page.",
		Response: sessionList{
			Sessions: []session{{
				ID: "session-123", AgentID: "agent-123", UserID: "user-456", Messages: 2,
				CreatedAt: api.ExampleTime, UpdatedAt: api.ExampleTime,
			}},
			Paged: api.Paged{Total: 1, Limit: 20},
		},
		Errors: []core.Code{core.CodeForbidden},
	}, h.list)
	api.Register(a, api.Operation{
		ID: "delete-session", Method: http.MethodDelete,
		Path: "/v1/agents/{agent_id}/sessions/{session_id}", Tag: "Chat", Access: api.Writer,
		Summary: "Delete a session",
		Description: "Also deletes the session's messages and runs. While a turn of the session is running, the request " +
			"fails with 409. An API key also needs tasks:write for the session of a task.",
		Status: http.StatusNoContent, Errors: []core.Code{core.CodeConflict},
	}, h.delete)
}

func (h *handlers) list(ctx context.Context, in *sessionsInput) (*sessionsOutput, error) {
	v := api.Actor(ctx)
	userID, err := in.Owner(v)
	if err != nil {
		return nil, err
	}
	if _, err := h.agents.Agent(ctx, v, in.AgentID); err != nil {
		return nil, err
	}
	found, paged, err := api.ReadPage(ctx, in.Limit, in.Paging, func(p core.Page) ([]*core.Session, int, error) {
		return h.store.Sessions(ctx, core.SessionFilter{
			AgentID: in.AgentID, UserID: userID, WithoutTasks: !api.Allows(ctx, core.ResourceTasks, false), Page: p,
		})
	}, func(s *core.Session) core.PageKey { return api.Newest(s.UpdatedAt, s.Key) })
	if err != nil {
		return nil, err
	}
	out := &sessionsOutput{Body: sessionList{Sessions: make([]session, 0, len(found)), Paged: paged}}
	for _, s := range found {
		out.Body.Sessions = append(out.Body.Sessions, session{
			ID: s.ID, AgentID: s.AgentID, UserID: s.UserID, Messages: s.Messages,
			CreatedAt: api.Time(s.CreatedAt), UpdatedAt: api.Time(s.UpdatedAt),
		})
	}
	return out, nil
}

func (h *handlers) delete(ctx context.Context, in *sessionInput) (*struct{}, error) {
	if err := core.CheckSessionID("session_id", in.SessionID); err != nil {
		return nil, err
	}
	v := api.Actor(ctx)
	userID, err := in.Owner(v)
	if err != nil {
		return nil, err
	}
	if _, err := h.agents.Agent(ctx, v, in.AgentID); err != nil {
		return nil, err
	}
	if core.IsTaskSession(in.SessionID) {
		if err := api.RequireScope(ctx, core.ResourceTasks, true); err != nil {
			return nil, err
		}
	}
	return nil, h.store.DeleteSession(ctx, api.Audit(ctx), in.AgentID, userID, in.SessionID)
}
