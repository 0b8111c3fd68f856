package pluginhost

import (
	"math/rand/v2"
	"slices"
	"time"
)

// backoff decides when a process that ended is started again: the first time
// at once, then after a wait that doubles. Too many ends in a short time open
// the circuit; it is then tried once in a long while.
//
//	closed ──5 ends in 2 min──▶ open ──5 min──▶ one try ──60 s of health──▶ closed
//	                             ▲                 │
//	                             └──── it ends ────┘
type backoff struct {
	timing Timing
	ends   []time.Time
	// waits counts the ends since the last good life.
	waits int
	open  bool
}

// ended tells of an end after a process was up for so long, and gives the wait
// until the next start.
func (b *backoff) ended(now time.Time, up time.Duration) (wait time.Duration, open bool) {
	if up >= b.timing.Reset {
		b.ends, b.waits, b.open = nil, 0, false
	}
	b.ends = slices.DeleteFunc(b.ends, func(t time.Time) bool { return now.Sub(t) > b.timing.CircuitWindow })
	b.ends = append(b.ends, now)
	if b.open || len(b.ends) >= b.timing.CircuitExits {
		b.open, b.ends = true, nil
		return b.timing.HalfOpen, true
	}
	b.waits++
	if b.waits == 1 {
		return 0, false
	}
	wait = b.timing.BackoffMax
	if shift := b.waits - 2; shift < 16 {
		wait = min(wait, b.timing.Backoff<<shift)
	}
	// A fifth more or less, so that plugins that fell together do not rise together.
	return time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64())), false //nolint:gosec // no secret
}
