package core

import (
	"context"
	"time"
)

// Session is one conversation of a user with an agent. Its ID is unique for
// that agent and user only; Key is unique everywhere and internal.
type Session struct {
	Key       string
	ID        string
	AgentID   string
	UserID    string
	Messages  int
	CreatedAt time.Time
	// UpdatedAt is the time of the newest turn.
	UpdatedAt time.Time
}

// SessionFilter picks the sessions of one user with one agent.
type SessionFilter struct {
	AgentID, UserID string
	Page
}

// SessionStore keeps sessions. They come to be with their first turn (RunStore.StartRun).
type SessionStore interface {
	// Sessions lists the newest first, with the count of all that match.
	Sessions(ctx context.Context, f SessionFilter) ([]*Session, int, error)
	// DeleteSession removes the session with its messages, runs, calls and
	// events. It fails with NotFound, or with Conflict while a turn is under way.
	DeleteSession(ctx context.Context, agentID, userID, sessionID string) error
}
