package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"

	"github.com/agentarea/agentarea/core"
)

// ticket is River's job: the right to work on one task that waits. It is put in
// with its task, in the same transaction. Which task it is for is decided when it
// is drawn, so that one user's many tasks don't keep another's waiting: River
// itself knows priorities only.
type ticket struct{}

// Kind implements river.JobArgs.
func (ticket) Kind() string { return "task" }

const (
	// ticketLife is longer than any task may take. A ticket that was lost with its
	// server comes back an hour later and finds nothing to do, for a lease decides
	// who takes up the run.
	ticketLife = 25 * time.Hour
	// ticketsKept is how long a used one stays to be looked at.
	ticketsKept = 10 * time.Minute
	// fetchCooldown is the least time between two looks at the queue, and between
	// two words that there is something in it: a word that is left out costs up to
	// fetchPoll, the time between looks that nobody asked for.
	fetchCooldown = 2 * time.Millisecond
	fetchPoll     = 500 * time.Millisecond
)

// newTickets makes the client that puts tickets in.
func newTickets(driver riverdriver.Driver[*sql.Tx]) (*river.Client[*sql.Tx], error) {
	client, err := river.NewClient(driver, &river.Config{FetchCooldown: fetchCooldown, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("task queue: %w", err)
	}
	return client, nil
}

// putTicket puts one in that can be drawn from a time on.
func (db *DB) putTicket(ctx context.Context, tx *tx, p core.TaskPriority, at time.Time) error {
	if !at.After(time.Now()) {
		at = time.Time{} // River's leader looks every few seconds only at what has a time
	}
	_, err := db.tickets.InsertTx(ctx, tx.sql, ticket{}, &river.InsertOpts{Priority: int(p), ScheduledAt: at})
	return err
}

// Work implements core.TaskQueue.
func (db *DB) Work(slots int, do func(ctx context.Context)) (stop func(ctx context.Context) error, err error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, _ *river.Job[ticket]) error {
		do(ctx)
		return nil
	}))
	client, err := river.NewClient(db.queue, &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: slots}}, Workers: workers,
		FetchCooldown: fetchCooldown, FetchPollInterval: fetchPoll,
		JobTimeout: ticketLife, RescueStuckJobsAfter: ticketLife + time.Hour,
		CompletedJobRetentionPeriod: ticketsKept, CancelledJobRetentionPeriod: ticketsKept, DiscardedJobRetentionPeriod: ticketsKept,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("task queue: %w", err)
	}
	if err := client.Start(context.Background()); err != nil {
		return nil, fmt.Errorf("task queue: %w", db.translate(err))
	}
	return func(ctx context.Context) error {
		err := client.Stop(ctx)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			err = client.StopAndCancel(hard)
		}
		return err
	}, nil
}
