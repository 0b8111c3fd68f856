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

// job is a River job that executes one pending task. It is inserted in the same transaction as the
// task, but does not name it: NextTask chooses the task when the job starts. So a user with many
// tasks does not block other users, although River only supports priorities.
type job struct{}

// Kind implements river.JobArgs.
func (job) Kind() string { return "task" }

const (
	// maxJobAge is longer than the longest allowed task. River repeats the job of a crashed server one
	// hour later. That job finds no task, because the run is resumed when the server's lease expires.
	maxJobAge = 25 * time.Hour
	// maxJobsKept is the time for which a finished job is kept for inspection.
	maxJobsKept = 10 * time.Minute
	// fetchCooldown is the minimum time between two fetches and between two notifications about new
	// jobs. A job whose notification is suppressed waits for up to fetchPoll, the time between two
	// regular fetches.
	fetchCooldown = 2 * time.Millisecond
	fetchPoll     = 500 * time.Millisecond
)

// newJobClient returns a client that inserts jobs.
func newJobClient(driver riverdriver.Driver[*sql.Tx], logger *slog.Logger) (*river.Client[*sql.Tx], error) {
	client, err := river.NewClient(driver, &river.Config{FetchCooldown: fetchCooldown, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("task queue: %w", err)
	}
	return client, nil
}

// insertJob inserts a job that can start at the given time.
func (db *DB) insertJob(ctx context.Context, tx *tx, p core.TaskPriority, at time.Time) error {
	if !at.After(time.Now()) {
		at = time.Time{} // River's leader checks scheduled jobs only every few seconds
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
		CompletedJobRetentionPeriod: maxJobsKept, CancelledJobRetentionPeriod: maxJobsKept,
		DiscardedJobRetentionPeriod: maxJobsKept,
		Logger:                      queueLogger(db.logger),
	})
	if err != nil {
		return nil, fmt.Errorf("task queue: %w", err)
	}
	if err := client.Start(context.Background()); err != nil {
		return nil, db.startError(err)
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

// startError converts an error of River's Start. River gives up after fixed times, 5 s and 10 s, which a
// busy machine may exceed, so an error that does not come from the database is Unavailable as well.
func (db *DB) startError(err error) error {
	var e *core.Error
	if errors.As(db.translate(err), &e) && e.Code == core.CodeUnavailable {
		return e
	}
	return &core.Error{
		Code: core.CodeUnavailable, Message: "The task queue did not start", RetryAfter: time.Second, Err: err,
	}
}
