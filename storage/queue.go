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

// job is River's job: the right to work on one task that waits. It is put in
// with its task, in the same transaction. Which task it is for is decided when it
// is drawn, so that one user's many tasks don't keep another's waiting: River
// itself knows priorities only.
type job struct{}

// Kind implements river.JobArgs.
func (job) Kind() string { return "task" }

const (
	// maxJobAge is longer than any task may take. A job that was lost with its
	// server comes back an hour later and finds nothing to do, for a lease decides
	// who takes up the run.
	maxJobAge = 25 * time.Hour
	// maxJobsKept is how long a used one stays to be looked at.
	maxJobsKept = 10 * time.Minute
	// fetchCooldown is the least time between two looks at the queue, and between
	// two words that there is something in it: a word that is left out costs up to
	// fetchPoll, the time between looks that nobody asked for.
	fetchCooldown = 2 * time.Millisecond
	fetchPoll     = 500 * time.Millisecond
)

// newJobClient makes the client that puts jobs in.
func newJobClient(driver riverdriver.Driver[*sql.Tx]) (*river.Client[*sql.Tx], error) {
	client, err := river.NewClient(driver, &river.Config{FetchCooldown: fetchCooldown, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("task queue: %w", err)
	}
	return client, nil
}

// insertJob puts one in that can be drawn from a time on.
func (db *DB) insertJob(ctx context.Context, tx *tx, p core.TaskPriority, at time.Time) error {
	if !at.After(time.Now()) {
		at = time.Time{} // River's leader looks every few seconds only at what has a time
	}
	_, err := db.jobs.InsertTx(ctx, tx.sql, job{}, &river.InsertOpts{Priority: int(p), ScheduledAt: at})
	return err
}

// Work implements core.TaskQueue.
func (db *DB) Work(slots int, do func(ctx context.Context)) (stop func(ctx context.Context) error, err error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, _ *river.Job[job]) error {
		do(ctx)
		return nil
	}))
	client, err := river.NewClient(db.queue, &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: slots}}, Workers: workers,
		FetchCooldown: fetchCooldown, FetchPollInterval: fetchPoll,
		JobTimeout: maxJobAge, RescueStuckJobsAfter: maxJobAge + time.Hour,
		CompletedJobRetentionPeriod: maxJobsKept, CancelledJobRetentionPeriod: maxJobsKept, DiscardedJobRetentionPeriod: maxJobsKept,
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
