package core

import (
	"context"
	"encoding/json"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// Message is one stored message of a session: a user's message or an agent's final answer.
type Message struct {
	ID         string
	SessionKey string
	// SessionID, AgentID and UserID identify the session.
	SessionID string
	AgentID   string
	UserID    string
	RunID     string
	Role      sdk.Role
	Parts     []sdk.Part
	// Steps are the tool calls that led to an answer: messages of the model with calls, each followed by
	// the messages with the results. The next turns of the session receive them before the answer.
	Steps []sdk.Message
	// Metadata is the JSON object that the API returns: model, tokens_used, run_id and others.
	Metadata  json.RawMessage
	CreatedAt time.Time
	// Position orders the messages of all sessions. It is set by the store.
	Position int64
}

// SDK returns the message in the form that plugins use.
func (m *Message) SDK() sdk.Message { return sdk.Message{Role: m.Role, Parts: m.Parts} }

// MessageFilter selects messages of one user's sessions with one agent.
type MessageFilter struct {
	AgentID, UserID string
	// SessionID selects one session. If it is empty, all sessions match.
	SessionID string
	// WithoutTasks leaves out the sessions of tasks, if SessionID is empty.
	WithoutTasks bool
	// Before is the exclusive upper bound of CreatedAt. If it is zero, there is no bound.
	Before time.Time
	// BeforePosition is the exclusive upper bound of Position. If it is 0, there is no bound.
	BeforePosition int64
	Limit          int
}

// MessageStore reads messages. RunStore writes them together with their runs.
type MessageStore interface {
	// Messages returns the newest f.Limit matching messages, ordered by time, and whether there are older
	// ones. It returns fewer messages, but at least one, if they would exceed MaxPageBytes.
	Messages(ctx context.Context, f MessageFilter) (messages []*Message, more bool, err error)
	// HistoryBefore returns the newest messages of a session that are older than the message with the
	// given id, up to limit and MaxPageBytes, ordered by time. more reports whether it left out older ones.
	HistoryBefore(ctx context.Context, sessionKey, messageID string, limit int) (messages []*Message, more bool, err error)
	// Message returns the message with the given id, of any user. It fails with NotFound.
	Message(ctx context.Context, id string) (*Message, error)
}
