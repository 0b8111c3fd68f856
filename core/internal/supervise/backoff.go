package supervise

import (
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Policy has the delays and limits of restarts. pluginhost.Timing has the values for plugins, and mcp.Times
// those for MCP servers.
type Policy struct {
	// Initial is the first delay. The delay doubles up to Max.
	Initial, Max time.Duration
	// JitterLow and JitterHigh are the bounds of the random factor of each delay, so
	// that what failed together does not start together.
	JitterLow, JitterHigh float64
	// Reset is the running time after which the delays start over.
	Reset time.Duration
	// Immediate makes the first restart immediate. Initial is then the second delay.
	Immediate bool

	// CircuitExits within CircuitWindow open the circuit. While it is open, the delay
	// is HalfOpen. Zero CircuitExits disable the circuit.
	CircuitExits  int
	CircuitWindow time.Duration
	HalfOpen      time.Duration
}

// restartBackoff decides when something that has ended is started again. Too many exits in a short
// time open the circuit, which then allows one start per long interval.
//
//	closed ──CircuitExits──▶ open ──HalfOpen──▶ one start ──Reset──▶ closed
//	                          ▲                     │
//	                          └────── it exits ─────┘
//
// It is not safe for concurrent use.
type restartBackoff struct {
	policy Policy
	delays backoff.ExponentialBackOff
	// exits are the times of the exits within CircuitWindow.
	exits []time.Time
	// restarted reports whether there was an exit since the last reset.
	restarted bool
	// open reports whether the circuit is open.
	open bool
}

// newRestartBackoff returns a restartBackoff without exits.
func newRestartBackoff(p Policy) *restartBackoff {
	// The library varies a delay around its center by a factor.
	center := (p.JitterLow + p.JitterHigh) / 2
	b := &restartBackoff{policy: p, delays: backoff.ExponentialBackOff{
		InitialInterval:     scale(p.Initial, center),
		MaxInterval:         scale(p.Max, center),
		Multiplier:          2,
		RandomizationFactor: (p.JitterHigh - p.JitterLow) / (p.JitterHigh + p.JitterLow),
	}}
	b.delays.InitialInterval = min(b.delays.InitialInterval, b.delays.MaxInterval)
	return b
}

func scale(d time.Duration, factor float64) time.Duration {
	return time.Duration(float64(d) * factor)
}

// exited records an exit at the time now, after something ran for the duration up. counts
// reports whether the exit counts for the circuit. exited returns the delay until the next
// start.
func (b *restartBackoff) exited(now time.Time, up time.Duration, counts bool) time.Duration {
	if up >= b.policy.Reset {
		b.exits, b.restarted, b.open = nil, false, false
		b.delays.Reset()
	}
	if counts && b.circuit(now) {
		return b.policy.HalfOpen
	}
	first := !b.restarted
	b.restarted = true
	if first && b.policy.Immediate {
		return 0
	}
	return b.delays.NextBackOff()
}

// circuit records an exit and reports whether the circuit is open.
func (b *restartBackoff) circuit(now time.Time) bool {
	if b.policy.CircuitExits == 0 {
		return false
	}
	b.exits = slices.DeleteFunc(b.exits, func(t time.Time) bool { return now.Sub(t) > b.policy.CircuitWindow })
	b.exits = append(b.exits, now)
	if b.open || len(b.exits) >= b.policy.CircuitExits {
		b.open, b.exits = true, nil
	}
	return b.open
}
