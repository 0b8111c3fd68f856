package core

import (
	"context"
	"time"
)

// RateLimit is the maximum rate of an action. A field of 0 means unlimited.
type RateLimit struct {
	PerMinute int
	// Burst is the limit per second.
	Burst int
}

// Unlimited reports whether the limit has no effect.
func (l RateLimit) Unlimited() bool { return l.PerMinute <= 0 && l.Burst <= 0 }

// Rate is the current usage of a key.
type Rate struct {
	// Allowed reports whether the action was counted, because no limit was reached.
	Allowed bool
	// Minute and Second are the current windows.
	Minute, Second RateWindow
}

// RateWindow is a time window in which actions are counted. It begins with the first action. When
// it ends, the whole limit is available again.
type RateWindow struct {
	Count int
	// Remaining is the time until the window ends.
	Remaining time.Duration
}

// RetryAfter returns the time until another action is allowed. It returns 0 if one is allowed now.
func (r Rate) RetryAfter(l RateLimit) time.Duration {
	var wait time.Duration
	if l.PerMinute > 0 && r.Minute.Count >= l.PerMinute {
		wait = r.Minute.Remaining
	}
	if l.Burst > 0 && r.Second.Count >= l.Burst {
		wait = max(wait, r.Second.Remaining)
	}
	return wait
}

// RateCounter counts actions by key. It is safe for concurrent use: no action is left uncounted.
type RateCounter interface {
	// TakeRate counts one action of the key, unless a limit is reached.
	TakeRate(ctx context.Context, key string, l RateLimit) (Rate, error)
	// RefundRate uncounts one action of the key.
	RefundRate(ctx context.Context, key string) error
	// ResetRate sets the counts of the key to 0.
	ResetRate(ctx context.Context, key string) error
}

// RateStore is a RateCounter that all servers on one database share.
type RateStore interface {
	RateCounter
	// DeleteRates deletes up to limit keys whose windows have ended, and returns how many it deleted.
	DeleteRates(ctx context.Context, limit int) (int, error)
}
