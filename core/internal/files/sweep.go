package files

import (
	"context"
	"time"

	"github.com/agentarea/agentarea/core"
)

const (
	// sweepBatch is the maximum number of pending blobs per claim.
	sweepBatch = 100
	// maxPause is the longest delay before a failed delete is retried.
	maxPause = 30 * time.Minute
)

// Sweep starts a sweep of the pending blobs that are due, and does not wait for it.
func (f *Files) Sweep() { f.wake() }

// wake starts a sweep.
func (f *Files) wake() {
	select {
	case f.sweepRequested <- struct{}{}:
	default: // a sweep is already requested
	}
}

// runSweeper sweeps at each interval and after each wake, until ctx is done.
func (f *Files) runSweeper(ctx context.Context) {
	ticker := time.NewTicker(f.times.Sweep)
	defer ticker.Stop()
	for {
		if err := f.sweep(ctx); err != nil && ctx.Err() == nil {
			f.log.WarnContext(ctx, "sweeping pending blobs failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-f.sweepRequested:
		}
	}
}

// sweep deletes the bytes of all pending blobs that are due. It does not call a backend again
// after an error that means that the backend is unavailable.
func (f *Files) sweep(ctx context.Context) error {
	for {
		began := now()
		blobs, err := f.store.ClaimPendingBlobs(ctx, began, began.Add(f.times.Claim), sweepBatch)
		if err != nil {
			return err
		}
		failed := map[string]error{}
		for _, o := range blobs {
			if err := f.sweepOne(ctx, o, failed); err != nil {
				return err
			}
		}
		if len(blobs) < sweepBatch {
			return nil
		}
	}
}

// sweepOne deletes the bytes of a pending blob, or postpones it. failed has the errors of
// unavailable backends.
func (f *Files) sweepOne(ctx context.Context, o core.PendingBlob, failed map[string]error) error {
	err := failed[o.Backend]
	if err == nil {
		call, cancel := context.WithTimeout(ctx, f.times.Call)
		err = f.remove(call, o.Blob)
		cancel()
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case unavailable(err):
		failed[o.Backend] = err
	}
	pause := pauseAfter(o.Attempts)
	f.log.WarnContext(ctx, "deleting the bytes of a blob failed; retrying later",
		"backend", o.Backend, "key", o.Key, "attempts", o.Attempts, "pause", pause, "error", err)
	return f.store.PostponePendingBlob(ctx, o.Blob, now().Add(pause), err.Error())
}

// pauseAfter returns the delay before a failed delete is retried: a minute, doubling each time.
func pauseAfter(attempts int) time.Duration {
	return min(time.Minute<<min(max(attempts-1, 0), 10), maxPause)
}
