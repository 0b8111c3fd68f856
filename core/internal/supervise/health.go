package supervise

import (
	"context"
	"time"
)

// Health checks regularly whether a process or a connection still answers.
type Health struct {
	// Every is the interval between the probes. Timeout limits each of them.
	Every, Timeout time.Duration
	// Misses is the number of probes in a row without an answer that ends Watch.
	Misses int
	// Probe returns nil if there was an answer, even an error. Its context ends after Timeout.
	Probe func(ctx context.Context) error
	// Missed is called after a probe without an answer, with their number in a row. Optional.
	Missed func(ctx context.Context, err error, misses int)
	// Now requests a probe immediately. Optional.
	Now <-chan struct{}
}

// Watch probes until ended is closed or ctx ends. It returns true, and ends earlier, if Misses
// probes in a row got no answer.
func (h *Health) Watch(ctx context.Context, ended <-chan struct{}) (unresponsive bool) {
	ticks := time.NewTicker(h.Every)
	defer ticks.Stop()
	for misses := 0; misses < h.Misses; {
		select {
		case <-ended:
			return false
		case <-ctx.Done():
			return false
		case <-h.Now:
		case <-ticks.C:
		}
		err := h.probe(ctx)
		if err == nil {
			misses = 0
			continue
		}
		select {
		case <-ended:
			return false
		case <-ctx.Done():
			return false
		default:
		}
		misses++
		if h.Missed != nil {
			h.Missed(ctx, err, misses)
		}
	}
	return true
}

func (h *Health) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	return h.Probe(ctx)
}
