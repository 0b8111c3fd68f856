package pluginhost

import (
	"math/rand/v2"
	"slices"
	"time"
)

// backoff decides when an exited process is started again. The first restart is
// immediate, later ones wait with a delay that doubles. Too many exits in a short
// time open the circuit, which then allows one start per long interval.
//
//	closed ──5 exits in 2 min──▶ open ──5 min──▶ one start ──60 s of life──▶ closed
//	                              ▲                 │
//	                              └──── it exits ───┘
type backoff struct {
	timing Timing
	ends   []time.Time
	// waits counts the exits since a process last ran for Reset.
	waits int
	open  bool
}

// ended records the exit of a process that ran for the duration up. It returns the delay
// until the next start, and whether the circuit is open.
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
