package core

import (
	"context"
	"time"
)

// RateLimit is how often somebody may do something; a zero is no limit.
type RateLimit struct {
	PerMinute int
	// Burst is how often within a second.
	Burst int
}

// Off says that nothing is limited.
func (l RateLimit) Unlimited() bool { return l.PerMinute <= 0 && l.Burst <= 0 }

// Rate is where a key stands.
type Rate struct {
	// Allowed says that one more was counted: no limit was reached.
	Allowed bool
	// Minute and Second are the windows that it is in.
	Minute, Second RateWindow
}

// RateWindow begins with the first that is counted in it. When it is over all of
// the limit may be used again.
type RateWindow struct {
	Count int
	// Remaining is how long it still lasts.
	Remaining time.Duration
}

// Wait is how long until one more may be taken; 0 is now.
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

// RateCounter counts by keys. What two take at once is never counted as one.
type RateCounter interface {
	// TakeRate counts one more of the key, unless a limit is reached.
	TakeRate(ctx context.Context, key string, l RateLimit) (Rate, error)
	// RefundRate takes one off again.
	RefundRate(ctx context.Context, key string) error
	// ResetRate forgets what was counted.
	ResetRate(ctx context.Context, key string) error
}

// RateStore is a RateCounter that servers share.
type RateStore interface {
	RateCounter
	// DeleteRates deletes keys whose windows are over, at most limit, and says how many.
	DeleteRates(ctx context.Context, limit int) (int, error)
}
