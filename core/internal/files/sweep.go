package files

import (
	"context"
	"time"

	"github.com/agentarea/agentarea/core"
)

const (
	// sweepBatch is how many pending blobs are claimed at once.
	sweepBatch = 100
	// maxPause is the longest wait before a refused delete is tried again.
	maxPause = 30 * time.Minute
)

// wake has the sweeper look at once.
func (f *Files) wake() {
	select {
	case f.kick <- struct{}{}:
	default: // it is awake already
	}
}

func (f *Files) sweepAlways(ctx context.Context) {
	ticker := time.NewTicker(f.times.Sweep)
	defer ticker.Stop()
	for {
		if err := f.sweep(ctx); err != nil && ctx.Err() == nil {
			f.log.WarnContext(ctx, "orphans not swept", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-f.kick:
		}
	}
}

// sweep deletes the bytes of all pending blobs that are due. A backend that is away is
// asked once a sweep.
func (f *Files) sweep(ctx context.Context) error {
	for {
		began := now()
		orphans, err := f.store.ClaimPendingBlobs(ctx, began, began.Add(f.times.Claim), sweepBatch)
		if err != nil {
			return err
		}
		refused := map[string]error{}
		for _, o := range orphans {
			if err := f.sweepOne(ctx, o, refused); err != nil {
				return err
			}
		}
		if len(orphans) < sweepBatch {
			return nil
		}
	}
}

func (f *Files) sweepOne(ctx context.Context, o core.PendingBlob, refused map[string]error) error {
	err := refused[o.Backend]
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
	case away(err):
		refused[o.Backend] = err
	}
	pause := pauseAfter(o.Attempts)
	f.log.WarnContext(ctx, "bytes not deleted: tried again later", "backend", o.Backend, "key", o.Key, "attempts", o.Attempts, "pause", pause, "error", err)
	return f.store.PostponePendingBlob(ctx, o.Blob, now().Add(pause), err.Error())
}

// pauseAfter is how long a refused delete waits: a minute, then twice as long
// each time.
func pauseAfter(attempts int) time.Duration {
	return min(time.Minute<<min(max(attempts-1, 0), 10), maxPause)
}
