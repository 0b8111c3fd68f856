// Package retention deletes data that is older than the settings allow. It works in short batches with
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

// Options configure a Sweeper. Interval is optional.
type Options struct {
	Store  core.RetentionStore
	Keep   Keep
	Logger *slog.Logger
	// Interval is the time between two sweeps (default 1 h).
	Interval time.Duration
}

// keepToolLists is the time to keep lists of tools after they were first used, even if no run refers to them.
const keepToolLists = time.Hour

// keepLogins is the time to keep logins after they have ended.
const keepLogins = 24 * time.Hour

// Maximum sizes of a batch in rows.
const (
	sessionBatch = 500
	runBatch     = 100
	rowBatch     = 500
	// A list of tools may have megabytes.
	toolListBatch = 5
)

// A batch is one transaction, which delays the writes that wait for it. So its size adapts to the time that it takes.
const (
	minBatch = 5
	// batchTime is the time that a batch should take.
	batchTime = 30 * time.Millisecond
	// pause is the time between two batches.
	pause = 10 * time.Millisecond
)

// nextBatch returns the size of the batch after one that took a time.
func nextBatch(size, maxSize int, took time.Duration) int {
	fitting := 2 * size
	if took > batchTime/2 {
		fitting = int(float64(size) * float64(batchTime) / float64(took))
	}
	return min(max(fitting, minBatch), maxSize)
}

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
		batch  int
		delete deleteBatch
	}{
		{"sessions", s.Keep.Sessions, sessionBatch, s.Store.DeleteSessions},
		{"tasks", s.Keep.Runs, runBatch, s.Store.DeleteTasks},
		{"runs", s.Keep.Runs, runBatch, s.Store.DeleteRuns},
		{"tool lists", keepToolLists, toolListBatch, s.Store.DeleteToolLists},
		{"events", s.Keep.Events, runBatch, s.deleteEvents},
		{"notifications", s.Keep.Events, rowBatch, s.Store.DeleteNotifications},
		{"audit", s.Keep.Audit, rowBatch, s.Store.DeleteAudit},
		{"idempotency keys", core.IdempotencyKeyTTL, rowBatch, s.Store.DeleteIdempotencyKeys},
		{"logins", keepLogins, rowBatch, s.Store.DeleteLogins},
	} {
		if part.keep > 0 {
			s.deleteAll(ctx, part.kind, now.Add(-part.keep), part.batch, part.delete)
		}
	}
}

// deleteBatch deletes at most limit old rows, and returns how many it deleted.
type deleteBatch func(ctx context.Context, before time.Time, limit int) (int, error)

// deleteAll deletes batches until one deletes nothing more.
func (s *Sweeper) deleteAll(
	ctx context.Context, kind string, before time.Time, maxSize int, deleteBatch deleteBatch,
) {
	total, size := 0, minBatch
	for ctx.Err() == nil {
		begun := time.Now()
		n, err := deleteBatch(ctx, before, size)
		size = nextBatch(size, maxSize, time.Since(begun))
		total += n
		if err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "deleting old data failed; retrying at the next sweep", "kind", kind, "error", err)
		}
		if err != nil || n == 0 {
			break
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	if total > 0 {
		s.Logger.InfoContext(ctx, "deleted old data", "kind", kind, "rows", total, "before", before.UTC())
	}
}

// deleteEvents deletes a batch of events and remembers how far it came.
func (s *Sweeper) deleteEvents(ctx context.Context, before time.Time, limit int) (int, error) {
	n, next, err := s.Store.DeleteEvents(ctx, s.eventsUpTo, before, limit)
	if err == nil {
		s.eventsUpTo = next
	}
	return n, err
}
