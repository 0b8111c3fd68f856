// Package retention deletes what is older than the settings say, in small batches
// with pauses, so that nobody waits for it.
package retention

import (
	"context"
	"log/slog"
	"time"

	"github.com/agentarea/agentarea/core"
)

// Keep says how long things are kept; 0 is for ever.
type Keep struct {
	// Events are those of ended runs, and notifications.
	Events time.Duration
	// Runs are ended runs and tasks.
	Runs time.Duration
	// Sessions are those in which nothing is said any more.
	Sessions time.Duration
	// Audit are the rows of the audit.
	Audit time.Duration
}

// Options are what a Sweeper is made of. Every and Pause may be left out.
type Options struct {
	Store  core.RetentionStore
	Keep   Keep
	Logger *slog.Logger
	// Every is how often it looks (1 h), and Pause is between two batches (50 ms).
	Every, Pause time.Duration
}

// logins are of no use this long after their end.
const logins = 24 * time.Hour

// Limits of a batch, in rows of the kind: each session may have many messages.
const (
	batchOfRuns       = 100
	notificationBatch = 500
	batchOfSessions   = 5
)

// Sweeper deletes until it is closed.
type Sweeper struct {
	Options
	// eventsUpTo is how far events are deleted already.
	eventsUpTo time.Time
	stop       context.CancelFunc
	done       chan struct{}
}

// Start begins to delete. Several servers may do so at once.
func Start(o Options) *Sweeper {
	if o.Every == 0 {
		o.Every = time.Hour
	}
	if o.Pause == 0 {
		o.Pause = 50 * time.Millisecond
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Sweeper{Options: o, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for {
			s.sweep(ctx)
			select {
			case <-time.After(s.Every):
			case <-ctx.Done():
				return
			}
		}
	}()
	return s
}

// Close ends it, between two batches.
func (s *Sweeper) Close() {
	s.stop()
	<-s.done
}

func (s *Sweeper) sweep(ctx context.Context) {
	now := time.Now()
	for _, part := range []struct {
		what string
		keep time.Duration
		drop func(ctx context.Context, before time.Time) (int, error)
	}{
		{"sessions", s.Keep.Sessions, func(ctx context.Context, before time.Time) (int, error) {
			return s.Store.DeleteSessions(ctx, before, batchOfSessions)
		}},
		{"tasks", s.Keep.Runs, func(ctx context.Context, before time.Time) (int, error) {
			return s.Store.DeleteTasks(ctx, before, batchOfRuns)
		}},
		{"runs", s.Keep.Runs, func(ctx context.Context, before time.Time) (int, error) {
			return s.Store.DeleteRuns(ctx, before, batchOfRuns)
		}},
		{"events", s.Keep.Events, s.dropEvents},
		{"notifications", s.Keep.Events, func(ctx context.Context, before time.Time) (int, error) {
			return s.Store.DeleteNotifications(ctx, before, notificationBatch)
		}},
		{"audit", s.Keep.Audit, func(ctx context.Context, before time.Time) (int, error) {
			return s.Store.DeleteAudit(ctx, before, notificationBatch)
		}},
		{"logins", logins, func(ctx context.Context, before time.Time) (int, error) {
			return s.Store.DeleteLogins(ctx, before, notificationBatch)
		}},
	} {
		if part.keep > 0 {
			s.drain(ctx, part.what, now.Add(-part.keep), part.drop)
		}
	}
}

// drain deletes batch after batch.
func (s *Sweeper) drain(ctx context.Context, what string, before time.Time, drop func(context.Context, time.Time) (int, error)) {
	total := 0
	for ctx.Err() == nil {
		n, err := drop(ctx, before)
		total += n
		if err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "old data not deleted: trying again later", "what", what, "error", err)
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
		s.Logger.InfoContext(ctx, "old data deleted", "what", what, "rows", total, "before", before.UTC())
	}
}

func (s *Sweeper) dropEvents(ctx context.Context, before time.Time) (int, error) {
	n, next, err := s.Store.DeleteEvents(ctx, s.eventsUpTo, before, batchOfRuns)
	if err == nil {
		s.eventsUpTo = next
	}
	return n, err
}
