// Package retention deletes data that is older than the settings allow. It works in small batches with
// pauses, so that it does not delay other writes.
package retention

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/agentarea/agentarea/core"
)

// Keep has the time to keep each kind of data; 0 means forever.
type Keep struct {
	// Events is for the events of ended runs and for notifications.
	Events time.Duration
	// Runs is for ended runs and tasks.
	Runs time.Duration
	// Sessions is for sessions, counted from their last message.
	Sessions time.Duration
	// Audit is for audit records.
	Audit time.Duration
}

// Options configure a Sweeper. Interval and Pause are optional.
type Options struct {
	Store  core.RetentionStore
	Keep   Keep
	Logger *slog.Logger
	// Interval is the time between two sweeps (default 1 h), Pause the time between two batches (default
	// 50 ms).
	Interval, Pause time.Duration
}

// keepToolLists is the time to keep lists of tools after they were first used, even if no run refers to them.
const keepToolLists = time.Hour

// keepLogins is the time to keep logins after they have ended.
const keepLogins = 24 * time.Hour

// Sizes of a batch in rows. A session may have many messages, so its batches are small.
const (
	runBatch     = 100
	rowBatch     = 500
	sessionBatch = 5
	// A list of tools may have megabytes.
	toolListBatch = 5
)

// Sweeper deletes old data at regular intervals until it is closed.
type Sweeper struct {
	Options
	// eventsUpTo is the time up to which events are deleted already.
	eventsUpTo time.Time
	stop       context.CancelFunc
	done       chan struct{}
}

// Start starts a Sweeper. Several servers may sweep the same database at once.
func Start(o Options) *Sweeper {
	o.Interval = cmp.Or(o.Interval, time.Hour)
	o.Pause = cmp.Or(o.Pause, 50*time.Millisecond)
	ctx, stop := context.WithCancel(context.Background())
	s := &Sweeper{Options: o, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for {
			s.sweep(ctx)
			select {
			case <-time.After(s.Interval):
			case <-ctx.Done():
				return
			}
		}
	}()
	return s
}

// Close stops the Sweeper after the current batch.
func (s *Sweeper) Close() {
	s.stop()
	<-s.done
}

func (s *Sweeper) sweep(ctx context.Context) {
	now := time.Now()
	for _, part := range []struct {
		kind   string
		keep   time.Duration
		delete func(ctx context.Context, before time.Time) (int, error)
	}{
		{"sessions", s.Keep.Sessions, func(ctx context.Context, before time.Time) (int, error) {
			return s.Store.DeleteSessions(ctx, before, sessionBatch)
		}},
		{"tasks", s.Keep.Runs, func(ctx context.Context, before time.Time) (int, error) {
			return s.Store.DeleteTasks(ctx, before, runBatch)
		}},
		{"runs", s.Keep.Runs, func(ctx context.Context, before time.Time) (int, error) {
			return s.Store.DeleteRuns(ctx, before, runBatch)
		}},
		{"tool lists", keepToolLists, func(ctx context.Context, before time.Time) (int, error) {
			return s.Store.DeleteToolLists(ctx, before, toolListBatch)
		}},
		{"events", s.Keep.Events, s.deleteEvents},
		{"notifications", s.Keep.Events, func(ctx context.Context, before time.Time) (int, error) {
			return s.Store.DeleteNotifications(ctx, before, rowBatch)
		}},
		{"audit", s.Keep.Audit, func(ctx context.Context, before time.Time) (int, error) {
			return s.Store.DeleteAudit(ctx, before, rowBatch)
		}},
		{"idempotency keys", core.IdempotencyKeyTTL, func(ctx context.Context, before time.Time) (int, error) {
			return s.Store.DeleteIdempotencyKeys(ctx, before, rowBatch)
		}},
		{"logins", keepLogins, func(ctx context.Context, before time.Time) (int, error) {
			return s.Store.DeleteLogins(ctx, before, rowBatch)
		}},
	} {
		if part.keep > 0 {
			s.deleteAll(ctx, part.kind, now.Add(-part.keep), part.delete)
		}
	}
}

// deleteAll calls deleteBatch until it deletes nothing more.
func (s *Sweeper) deleteAll(
	ctx context.Context, kind string, before time.Time, deleteBatch func(context.Context, time.Time) (int, error),
) {
	total := 0
	for ctx.Err() == nil {
		n, err := deleteBatch(ctx, before)
		total += n
		if err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "deleting old data failed; retrying at the next sweep", "kind", kind, "error", err)
		}
		if err != nil || n == 0 {
			break
		}
		select {
		case <-time.After(s.Pause):
		case <-ctx.Done():
		}
	}
	if total > 0 {
		s.Logger.InfoContext(ctx, "deleted old data", "kind", kind, "rows", total, "before", before.UTC())
	}
}

// deleteEvents deletes a batch of events and remembers how far it came.
func (s *Sweeper) deleteEvents(ctx context.Context, before time.Time) (int, error) {
	n, next, err := s.Store.DeleteEvents(ctx, s.eventsUpTo, before, runBatch)
	if err == nil {
		s.eventsUpTo = next
	}
	return n, err
}
