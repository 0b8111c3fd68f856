package auth

import (
	"context"
	"time"

	"github.com/agentarea/agentarea/core"
)

// limiter counts what each key did in its present minute, where all servers do.
type limiter struct {
	counter core.RateCounter
	limit   core.RateLimit
	// prefix keeps the keys apart from others' in the counter.
	prefix string
}

// take counts one more, or fails with RateLimited.
func (l *limiter) take(ctx context.Context, key string) error {
	if l.limit.PerMinute < 0 {
		return nil
	}
	r, err := l.counter.TakeRate(ctx, l.prefix+key, l.limit)
	if err != nil || r.Allowed {
		return err
	}
	return &core.Error{
		Code: core.CodeRateLimited, Message: "Too many sign-ins: wait and try again",
		RetryAfter: max(r.RetryAfter(l.limit), time.Second),
	}
}

// giveBack takes one off again.
func (l *limiter) giveBack(ctx context.Context, key string) error {
	if l.limit.PerMinute < 0 {
		return nil
	}
	return l.counter.RefundRate(ctx, l.prefix+key)
}

// reset forgets what a key did.
func (l *limiter) reset(ctx context.Context, key string) error {
	if l.limit.PerMinute < 0 {
		return nil
	}
	return l.counter.ResetRate(ctx, l.prefix+key)
}
