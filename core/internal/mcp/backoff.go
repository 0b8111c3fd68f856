package mcp

import (
	"math/rand/v2"
	"time"
)

// backoff says how long to wait before a server that ended is started again. The
// wait doubles, and begins anew after a life that was long enough.
type backoff struct {
	times Times
	ends  int
}

// ended tells of an end after so long in service.
func (b *backoff) ended(up time.Duration) time.Duration {
	if up >= b.times.Reset {
		b.ends = 0
	}
	wait := b.times.BackoffMax
	if b.ends < 16 {
		wait = min(wait, b.times.Backoff<<b.ends)
	}
	b.ends++
	// Up to a fifth less, so that servers that fell together do not rise together.
	return time.Duration(float64(wait) * (0.8 + 0.2*rand.Float64())) //nolint:gosec // no secret
}
