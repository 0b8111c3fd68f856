package core

import (
	"context"
	"encoding/json"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// Message is one stored entry of a session: the user's or the agent's final word.
type Message struct {
	ID         string
	SessionKey string
	// SessionID, AgentID and UserID are those of the session.
	SessionID string
	AgentID   string
	UserID    string
	RunID     string
	Role      sdk.Role
	Parts     []sdk.Part
	// Metadata is a JSON object for the API: model, tokens_used, run_id.
	Metadata  json.RawMessage
	CreatedAt time.Time
}

// SDK is the message as plugins know it.
func (m *Message) SDK() sdk.Message { return sdk.Message{Role: m.Role, Parts: m.Parts} }

// MessageFilter picks messages of one user's sessions with one agent.
type MessageFilter struct {
	AgentID, UserID string
	// SessionID, unless empty, is the one session.
	SessionID string
	// Before, unless zero, is an upper bound on CreatedAt, exclusive.
	Before time.Time
	Limit  int
}

// MessageStore reads messages. They are written with their run (RunStore).
type MessageStore interface {
	// Messages gives the newest Limit ones, in order of time.
	Messages(ctx context.Context, f MessageFilter) ([]*Message, error)
	// HistoryBefore gives the newest limit messages of a session that are older
	// than the message of that id, in order of time.
	HistoryBefore(ctx context.Context, sessionKey, messageID string, limit int) ([]*Message, error)
	// Message fails with NotFound. It is not bound to a viewer.
	Message(ctx context.Context, id string) (*Message, error)
}
