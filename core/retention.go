package core

import (
	"context"
	"time"
)

// RetentionStore deletes old rows in small steps. Each method is one transaction. It deletes at
// most about limit rows of its kind, together with the rows that belong to them, and returns how
// many it deleted. A result of 0 means that no old rows are left.
type RetentionStore interface {
	// DeleteEvents deletes the events of runs that ended at or after from and before the given time,
	// oldest first. It returns the time at which the next call continues.
	DeleteEvents(ctx context.Context, from, before time.Time, limit int) (n int, next time.Time, err error)
	// DeleteNotifications deletes notifications that were created before the given time.
	DeleteNotifications(ctx context.Context, before time.Time, limit int) (int, error)
	// DeleteRuns deletes runs that ended before the given time, with their calls and events. Their
	// messages stay in the session.
	DeleteRuns(ctx context.Context, before time.Time, limit int) (int, error)
	// DeleteToolLists deletes lists of tools that were first stored before the given time and that no call
	// refers to any more.
	DeleteToolLists(ctx context.Context, before time.Time, limit int) (int, error)
	// DeleteTasks deletes tasks that ended before the given time.
	DeleteTasks(ctx context.Context, before time.Time, limit int) (int, error)
	// DeleteSessions deletes sessions whose newest turn is before the given time, with everything in
	// them. It keeps sessions with an active turn.
	DeleteSessions(ctx context.Context, before time.Time, limit int) (int, error)
	// DeleteAudit deletes audit entries that are older than the given time.
	DeleteAudit(ctx context.Context, before time.Time, limit int) (int, error)
	// DeleteIdempotencyKeys deletes idempotency keys that were used before the given time.
	DeleteIdempotencyKeys(ctx context.Context, before time.Time, limit int) (int, error)
	// DeleteLogins deletes logins that expired or ended before the given time.
	DeleteLogins(ctx context.Context, before time.Time, limit int) (int, error)
}
