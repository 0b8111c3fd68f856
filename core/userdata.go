package core

import (
	"context"
	"encoding/json"
	"time"
)

// UserDeletion describes the deletion of a user.
type UserDeletion struct {
	UserID string
	// TransferTo is the user who becomes the owner of the user's objects. If it is empty, the objects are
	// erased.
	TransferTo string
	At         time.Time
}

// UserDataStore deletes and exports everything that is stored about a user. Audit records and token counts
// are kept, because they are records of what happened and contain no texts.
type UserDataStore interface {
	// BeginUserDeletion disables the user and ends the user's logins, so that nothing new is stored. If
	// the objects are erased, it also makes the user's agents inactive and unshares them. It fails with
	// NotFound, with Invalid if the other user cannot own the objects, and with Conflict if no enabled
	// admin would remain, or while runs of the user or of an erased agent are active.
	BeginUserDeletion(ctx context.Context, d UserDeletion) error
	// EraseUserSessions deletes up to limit sessions of the user and of the user's agents, with everything
	// in them, and returns how many it deleted. It keeps sessions with an active run.
	EraseUserSessions(ctx context.Context, userID string, limit int) (int, error)
	// FinishUserDeletion erases or transfers the remaining objects and deletes the user. Contents of
	// erased files become pending blobs that are due at d.At. It fails as BeginUserDeletion does.
	FinishUserDeletion(ctx context.Context, audit *AuditRecord, d UserDeletion) error
	// MCPServerIDs returns the ids of the MCP servers that the user created.
	MCPServerIDs(ctx context.Context, userID string) ([]string, error)
	// ExportUser calls row for each stored row about the user, one kind after the other, without secrets.
	// It reads in small pages.
	ExportUser(ctx context.Context, userID string, row func(kind string, row json.RawMessage) error) error
}
