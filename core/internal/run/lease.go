package run

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// lease is the time until which this server owns its runs, as far as it knows. Its methods may be called
// concurrently. It uses the wall clock, because the monotonic clock may stand still while the machine is suspended.
type lease struct {
	// until is in Unix milliseconds. It is 0 before the first renewal.
	until atomic.Int64
}

func (l *lease) extend(until time.Time) { l.until.Store(until.UnixMilli()) }

// expired reports whether other servers may have taken over the runs of this server.
func (l *lease) expired() bool { return time.Now().UnixMilli() >= l.until.Load() }

// acquired reports whether the lease was renewed at least once.
func (l *lease) acquired() bool { return l.until.Load() != 0 }

// abandonLost abandons the runs that another server has taken over. Without it, a server that was paused or cut off
// would notice this only when it writes, and until then let tools and models work on those runs.
func (e *Engine) abandonLost(ctx context.Context) error {
	mine := e.active.all() // before the query: a run that starts meanwhile is not lost
	if len(mine) == 0 {
		return nil
	}
	owned, err := e.opts.Runs.ActiveRuns(ctx, e.opts.Owner)
	if err != nil {
		return err
	}
	for _, x := range mine {
		if !slices.Contains(owned, x.run.ID) {
			x.settler.abandon(errTakenOver)
		}
	}
	return nil
}
