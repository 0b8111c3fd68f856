package auth

import (
	"context"
	"time"

	"github.com/agentarea/agentarea/core"
)

// limiter limits attempts per key and minute. Its counter is shared by all replicas.
type limiter struct {
	counter core.RateCounter
	limit   core.RateLimit
	// prefix separates the keys of this limiter from other keys of the counter.
	prefix string
	// attempts names the attempts in messages.
	attempts string
}

func newLimiter(counter core.RateCounter, perMinute int, prefix, attempts string) *limiter {
	return &limiter{counter: counter, limit: core.RateLimit{PerMinute: perMinute}, prefix: prefix, attempts: attempts}
}

// take counts an attempt. It fails with RateLimited over the limit.
func (l *limiter) take(ctx context.Context, key string) error {
	if l.limit.PerMinute < 0 {
		return nil
	}
	r, err := l.counter.TakeRate(ctx, l.prefix+key, l.limit)
	if err != nil || r.Allowed {
		return err
	}
	return &core.Error{
		Code: core.CodeRateLimited, Message: "Too many " + l.attempts + ". Wait and try again.",
		RetryAfter: max(r.RetryAfter(l.limit), time.Second),
	}
}

// refund removes an attempt from the count.
func (l *limiter) refund(ctx context.Context, key string) error {
	if l.limit.PerMinute < 0 {
		return nil
	}
	return l.counter.RefundRate(ctx, l.prefix+key)
}

// reset removes all attempts of a key.
func (l *limiter) reset(ctx context.Context, key string) error {
	if l.limit.PerMinute < 0 {
		return nil
	}
	return l.counter.ResetRate(ctx, l.prefix+key)
}
