package pluginhost

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	var timing Timing
	timing.defaults()
	b := &backoff{timing: timing}
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
		wait, open := b.ended(now, s.up)
		low, high := s.wait*8/10, s.wait*12/10
		if open != s.open || wait < low || wait > high {
			t.Errorf("step %d: wait %s, open %v; want about %s, %v", i, wait, open, s.wait, s.open)
		}
	}
}
