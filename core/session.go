package core

import (
	"context"
	"strings"
	"time"
)

// Session is one conversation of a user with an agent. Its ID is unique for that agent and user
// only. Its Key is globally unique and internal.
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

// SessionFilter selects the sessions of one user with one agent.
type SessionFilter struct {
	AgentID, UserID string
	// WithoutTasks leaves out the sessions of tasks.
	WithoutTasks bool
	Page
}

// taskPrefix begins the ids of tasks.
const taskPrefix = "task-"

// IsTaskSession reports whether a session with the given id belongs to a task. It has the id of the task.
func IsTaskSession(id string) bool { return strings.HasPrefix(id, taskPrefix) }

// SessionStore reads and deletes sessions. RunStore.StartRun creates them.
type SessionStore interface {
	// Sessions returns a page of the matching sessions, newest first, and the number of all matches.
	Sessions(ctx context.Context, f SessionFilter) ([]*Session, int, error)
	// DeleteSession deletes the session with its messages, runs, calls and events. It fails with
	// NotFound, or with Conflict while a turn is active.
	DeleteSession(ctx context.Context, audit *AuditRecord, agentID, userID, sessionID string) error
}
