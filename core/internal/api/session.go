package api

import (
	"context"
	"net/http"

	"github.com/agentarea/agentarea/core"
)

type session struct {
	ID        string `json:"id"`
	AgentID   string `json:"agent_id"`
	UserID    string `json:"user_id"`
	Messages  int    `json:"messages" doc:"How many it has"`
	CreatedAt stamp  `json:"created_at"`
	UpdatedAt stamp  `json:"updated_at" doc:"When its newest turn was"`
}

type sessionList struct {
	Sessions []session `json:"sessions"`
	Paged
}

type (
	sessionsInput struct {
		AgentID string `path:"agent_id"`
		Page
		OfUser
	}
	sessionInput struct {
		AgentID   string `path:"agent_id"`
		SessionID string `path:"session_id"`
		OfUser
	}
	sessionsOutput struct{ Body sessionList }
)

func (a *api) registerSessions() {
	register(a, operation{
		id: "list-sessions", method: http.MethodGet, path: "/v1/agents/{agent_id}/sessions", tag: "Chat", summary: "List the sessions", access: signedIn,
		about: "Your conversations with the agent, the newest turn first.",
		response: sessionList{
			Sessions: []session{{
				ID: "session-123", AgentID: "agent-123", UserID: "user-456", Messages: 2, CreatedAt: exampleTime, UpdatedAt: exampleTime,
			}},
			Paged: Paged{Total: 1, Limit: 20},
		},
		errors: []core.Code{core.CodeForbidden},
	}, a.listSessions)
	register(a, operation{
		id: "delete-session", method: http.MethodDelete, path: "/v1/agents/{agent_id}/sessions/{session_id}", tag: "Chat", summary: "Delete a session", access: writer,
		about:  "Its messages and runs go with it. While a turn of it is under way it is 409.",
		status: http.StatusNoContent, errors: []core.Code{core.CodeConflict},
	}, a.deleteSession)
}

func (a *api) listSessions(ctx context.Context, in *sessionsInput) (*sessionsOutput, error) {
	v := actor(ctx)
	userID, err := in.resolve(v)
	if err != nil {
		return nil, err
	}
	if _, err := a.agents.Agent(ctx, v, in.AgentID); err != nil {
		return nil, err
	}
	found, total, err := a.sessions.Sessions(ctx, core.SessionFilter{AgentID: in.AgentID, UserID: userID, Page: in.core()})
	if err != nil {
		return nil, err
	}
	out := &sessionsOutput{Body: sessionList{Sessions: make([]session, 0, len(found)), Paged: in.reply(total)}}
	for _, s := range found {
		out.Body.Sessions = append(out.Body.Sessions, session{
			ID: s.ID, AgentID: s.AgentID, UserID: s.UserID, Messages: s.Messages,
			CreatedAt: stamp(s.CreatedAt), UpdatedAt: stamp(s.UpdatedAt),
		})
	}
	return out, nil
}

func (a *api) deleteSession(ctx context.Context, in *sessionInput) (*struct{}, error) {
	v := actor(ctx)
	userID, err := in.resolve(v)
	if err != nil {
		return nil, err
	}
	if _, err := a.agents.Agent(ctx, v, in.AgentID); err != nil {
		return nil, err
	}
	return nil, a.sessions.DeleteSession(ctx, in.AgentID, userID, in.SessionID)
}
