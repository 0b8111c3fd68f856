package mcp

import (
	"math/rand/v2"
	"time"
)

// backoff returns the delays between restarts of a server. The delay doubles and starts
// over after a session has run long enough.
type backoff struct {
	times Times
	ends  int
}

// ended records the end of a session that ran for the duration up. It returns the delay.
func (b *backoff) ended(up time.Duration) time.Duration {
	if up >= b.times.Reset {
		b.ends = 0
	}
	wait := b.times.BackoffMax
	if b.ends < 16 {
		wait = min(wait, b.times.Backoff<<b.ends)
	}
	b.ends++
	// The delay is reduced by up to 20%, so that servers that failed together do not restart together.
	return time.Duration(float64(wait) * (0.8 + 0.2*rand.Float64())) //nolint:gosec // no secret
}
