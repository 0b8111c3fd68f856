package core

import (
	"context"
	"strings"
	"time"
	"unicode"
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

// MaxSessionID is the maximum length of the ID of a session in characters.
const MaxSessionID = 128

// CheckSessionID returns an Invalid error of the field unless id has 1 to MaxSessionID printable characters of any
// script. The id is part of URLs, from which clients and proxies remove the path segments "." and "..", so it must not
// have these.
func CheckSessionID(field, id string) error {
	n := 0
	for _, c := range id {
		if n++; n > MaxSessionID {
			return Invalid(field, "Must be at most %d characters long", MaxSessionID)
		}
		if !unicode.IsGraphic(c) && c != zeroWidthJoiner && c != zeroWidthNonJoiner {
			return Invalid(field, "Must contain only printable characters, but character %d is %U", n, c)
		}
	}
	if n == 0 {
		return Invalid(field, "Must not be empty")
	}
	for segment := range strings.FieldsFuncSeq(id, func(c rune) bool { return c == '/' || c == '\\' }) {
		if segment == "." || segment == ".." {
			return Invalid(field, "Must not contain %q as a path segment", segment)
		}
	}
	return nil
}

// Emoji and some scripts need these characters between others.
const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
)

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
