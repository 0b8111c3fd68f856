package journal

import (
	"context"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/agentarea/agentarea/core"
)

// maxPause is the longest pause between two tries of a write.
const maxPause = 2 * time.Second

// Retry repeats writes while the database is unavailable.
type Retry struct {
	Logger *slog.Logger
	// Pause is the first pause; it doubles up to 2 seconds.
	Pause time.Duration
}

// Do calls do until it returns nil or an error other than Unavailable. When ctx ends
// first, Do returns the cause.
func (r Retry) Do(ctx context.Context, do func(context.Context) error) error {
	pauses := backoff.ExponentialBackOff{InitialInterval: r.Pause, MaxInterval: maxPause, Multiplier: 2}
	for {
		err := do(ctx)
		if err == nil || core.CodeOf(err) != core.CodeUnavailable {
			return err
		}
		pause := pauses.NextBackOff()
		r.Logger.ErrorContext(ctx, "database unavailable, retrying", "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
