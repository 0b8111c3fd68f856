package core

import (
	"context"
	"time"
)

// RetentionStore deletes what is old, a little at a time. Each method is one
// transaction, deletes at most about limit rows of its kind with what belongs to
// them, and says how many there were; 0 is the end.
type RetentionStore interface {
	// DeleteEvents deletes the events of runs that ended before, from the run on that
	// comes after the time from, and gives the time to go on from.
	DeleteEvents(ctx context.Context, from, before time.Time, limit int) (n int, next time.Time, err error)
	// DeleteNotifications deletes notifications.
	DeleteNotifications(ctx context.Context, before time.Time, limit int) (int, error)
	// DeleteRuns deletes runs that ended before, with their calls and events; what was
	// said stays in its session.
	DeleteRuns(ctx context.Context, before time.Time, limit int) (int, error)
	// DeleteTasks deletes tasks that ended before.
	DeleteTasks(ctx context.Context, before time.Time, limit int) (int, error)
	// DeleteSessions deletes sessions in which nothing was said since, with everything
	// in them, unless a turn is under way.
	DeleteSessions(ctx context.Context, before time.Time, limit int) (int, error)
	// DeleteAudit removes rows of the audit older than before.
	DeleteAudit(ctx context.Context, before time.Time, limit int) (int, error)
	// DeleteLogins removes those that expired or ended before.
	DeleteLogins(ctx context.Context, before time.Time, limit int) (int, error)
}
