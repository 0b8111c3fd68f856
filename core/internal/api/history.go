package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

type message struct {
	ID        string        `json:"id"`
	Role      sdk.Role      `json:"role" enum:"user,assistant,tool,system"`
	Content   string        `json:"content"`
	Files     []messageFile `json:"files,omitempty" doc:"Files that go with the message"`
	SessionID string        `json:"session_id"`
	Timestamp stamp         `json:"timestamp"`
	Metadata  object        `json:"metadata"`
}

type history struct {
	Messages []message `json:"messages"`
	Limit    int       `json:"limit"`
	HasMore  bool      `json:"has_more" doc:"There are older ones: ask for those before the first one's timestamp"`
}

// OfUser lets an admin look at somebody else's.
type OfUser struct {
	UserID string `query:"user_id" doc:"Whose, for admins; your own unless given"`
}

// resolve says whose it is.
func (o OfUser) resolve(v core.Actor) (string, error) {
	switch {
	case o.UserID == "" || o.UserID == v.UserID:
		return v.UserID, nil
	case v.Admin():
		return o.UserID, nil
	default:
		return "", core.Forbidden("Insufficient permissions: only an admin may look at another user's sessions")
	}
}

type historyInput struct {
	AgentID   string `path:"agent_id"`
	SessionID string `query:"session_id" doc:"Filter by session"`
	Limit     int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"Number of messages"`
	Before    string `query:"before" doc:"Messages before this RFC 3339 timestamp" example:"2025-01-31T12:00:00Z"`
	OfUser
}

type historyOutput struct{ Body history }

func (a *api) registerHistory() {
	register(a, operation{
		id: "chat-history", method: http.MethodGet, path: "/v1/agents/{agent_id}/chat/history", tag: "Chat", summary: "Get the chat history", access: signedIn,
		about: "Your newest messages with the agent, in order of time. A session that is not there is an empty list.",
		response: history{Limit: 50, Messages: []message{
			{ID: "msg-455", Role: sdk.RoleUser, Content: "Hello, how can you help me?", SessionID: "session-123", Timestamp: exampleTime},
			{
				ID: "msg-456", Role: sdk.RoleAssistant, Content: "Hello! I'm here to help you with...", SessionID: "session-123",
				Timestamp: exampleTime, Metadata: object(exampleMetadata),
			},
		}},
		errors: []core.Code{core.CodeForbidden},
	}, a.history)
}

func (a *api) history(ctx context.Context, in *historyInput) (*historyOutput, error) {
	v := actor(ctx)
	userID, err := in.resolve(v)
	if err != nil {
		return nil, err
	}
	before, err := parseBefore(in.Before)
	if err != nil {
		return nil, err
	}
	if _, err := a.agents.Agent(ctx, v, in.AgentID); err != nil {
		return nil, err
	}
	found, err := a.messages.Messages(ctx, core.MessageFilter{
		AgentID: in.AgentID, UserID: userID, SessionID: in.SessionID, Before: before, Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, err
	}
	more := len(found) > in.Limit
	if more {
		found = found[1:]
	}
	out := &historyOutput{Body: history{Messages: make([]message, 0, len(found)), Limit: in.Limit, HasMore: more}}
	for _, m := range found {
		out.Body.Messages = append(out.Body.Messages, message{
			ID: m.ID, Role: m.Role, Content: text(m.Parts), Files: filesOf(m.Parts), SessionID: m.SessionID,
			Timestamp: stamp(m.CreatedAt), Metadata: object(m.Metadata),
		})
	}
	return out, nil
}

func parseBefore(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	// A plus sign that was not encoded has arrived as a space.
	t, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(s, " ", "+"))
	if err != nil {
		return time.Time{}, core.Invalid("before", "Must be a time, like 2025-01-31T12:00:00Z")
	}
	return t.UTC(), nil
}
