package supervise

import (
	"testing"
	"time"
)

func TestRestartBackoff_circuit(t *testing.T) {
	t.Parallel()
	b := newRestartBackoff(Policy{
		Initial: 500 * time.Millisecond, Max: 30 * time.Second,
		JitterLow: 0.8, JitterHigh: 1.2, Reset: time.Minute, Immediate: true,
		CircuitExits: 5, CircuitWindow: 2 * time.Minute, HalfOpen: 5 * time.Minute,
	})
	now := time.Unix(1_000_000, 0)
	// up is how long the process ran, later the time since the previous step.
	steps := []struct {
		up, later time.Duration
		wait      time.Duration // before the jitter
		open      bool
	}{
		{0, 0, 0, false},
		{time.Second, time.Second, 500 * time.Millisecond, false},
		{time.Second, time.Second, time.Second, false},
		{time.Second, 130 * time.Second, 2 * time.Second, false}, // the earlier exits are outside the window
		{time.Second, time.Second, 4 * time.Second, false},
		{time.Second, time.Second, 8 * time.Second, false},
		{50 * time.Second, 50 * time.Second, 16 * time.Second, false},
		{59 * time.Second, 60 * time.Second, 5 * time.Minute, true},
		{time.Second, 5 * time.Minute, 5 * time.Minute, true}, // the half-open start
		{time.Minute, 6 * time.Minute, 0, false},              // ran long enough to reset
		{time.Second, 130 * time.Second, 500 * time.Millisecond, false},
		{time.Second, 130 * time.Second, time.Second, false},
		{time.Second, 130 * time.Second, 2 * time.Second, false},
		{time.Second, 130 * time.Second, 4 * time.Second, false},
		{time.Second, 130 * time.Second, 8 * time.Second, false},
		{time.Second, 130 * time.Second, 16 * time.Second, false},
		{time.Second, 130 * time.Second, 30 * time.Second, false},
		{time.Second, 130 * time.Second, 30 * time.Second, false},
	}
	for i, s := range steps {
		now = now.Add(s.later)
		wait, open := b.exited(now, s.up, true), b.open
		low, high := s.wait*8/10, s.wait*12/10
		if open != s.open || wait < low || wait > high {
			t.Errorf("step %d: wait %s, open %v; want about %s, %v", i, wait, open, s.wait, s.open)
		}
	}
}

func TestRestartBackoff_withoutCircuit(t *testing.T) {
	t.Parallel()
	b := newRestartBackoff(Policy{
		Initial: 250 * time.Millisecond, Max: time.Minute, JitterLow: 0.8, JitterHigh: 1, Reset: 30 * time.Second,
	})
	now := time.Unix(1_000_000, 0)
	check := func(up, want time.Duration) {
		t.Helper()
		got := b.exited(now, up, true)
		if got < want*8/10 || got > want || b.open {
			t.Errorf("after %s: got delay %s, open %v; want about %s, false", up, got, b.open, want)
		}
	}
	for _, want := range []time.Duration{
		250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second,
		16 * time.Second, 32 * time.Second, time.Minute, time.Minute,
	} {
		check(time.Second, want)
	}
	check(30*time.Second, 250*time.Millisecond)
}

// Exits that do not count leave the circuit closed, but the delays grow.
func TestRestartBackoff_excusedExits(t *testing.T) {
	t.Parallel()
	b := newRestartBackoff(Policy{
		Initial: time.Second, Max: 4 * time.Second, JitterLow: 1, JitterHigh: 1, Reset: time.Minute,
		CircuitExits: 2, CircuitWindow: time.Minute, HalfOpen: 5 * time.Minute,
	})
	now := time.Unix(1_000_000, 0)
	for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second} {
		if got := b.exited(now, time.Second, false); got != want || b.open {
			t.Errorf("exited = %s, open %v, want %s, false", got, b.open, want)
		}
	}
	b.exited(now, time.Second, true)
	if got := b.exited(now, time.Second, true); got != 5*time.Minute || !b.open {
		t.Errorf("exited = %s, open %v after two exits that count, want 5m0s, true", got, b.open)
	}
}
