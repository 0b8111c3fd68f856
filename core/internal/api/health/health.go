// Package health serves the health and readiness of the server.
package health

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// checkTimeout is the maximum duration of a check.
const checkTimeout = 2 * time.Second

// Check is a part of the server that must work for the server to be ready.
type Check struct {
	Name string
	// Degrades reports whether the server is ready without the part, because it can do other work.
	Degrades bool
	// Instant reports whether each request runs the check. The results of others are used for a second.
	Instant bool
	// Ready returns nil if the part works. The message of a core.Error is visible to everyone.
	Ready func(ctx context.Context) error
}

// Options are the dependencies of the group.
type Options struct {
	Version string
	Checks  []Check
	// Logger receives changes of the readiness, because requests of monitors are logged only at the level debug. It can
	// be nil.
	Logger *slog.Logger
}

// stateLog logs changes of the readiness. It is safe for concurrent use.
type stateLog struct {
	logger   *slog.Logger
	notReady atomic.Bool
}

// record logs the result of the checks if it differs from the one before.
func (l *stateLog) record(ctx context.Context, err error) {
	if l.logger == nil || l.notReady.Swap(err != nil) == (err != nil) {
		return
	}
	if err != nil {
		l.logger.WarnContext(ctx, "the server is not ready", "error", err)
		return
	}
	l.logger.InfoContext(ctx, "the server is ready again")
}

type health struct {
	Status    string   `json:"status" enum:"healthy"`
	Timestamp api.Time `json:"timestamp"`
	Version   string   `json:"version" doc:"The server's version"`
}

type healthOutput struct{ Body health }

type readiness struct {
	Status    string        `json:"status" enum:"ready"`
	Timestamp api.Time      `json:"timestamp"`
	Version   string        `json:"version" doc:"The server's version"`
	Checks    []checkResult `json:"checks" doc:"The result of each check"`
}

type checkResult struct {
	Name    string `json:"name"`
	Status  string `json:"status" enum:"ok,degraded" doc:"degraded: the server works, but some features do not"`
	Message string `json:"message,omitempty" doc:"What is wrong"`
}

type readinessOutput struct{ Body readiness }

// Register adds the operations of the group.
func Register(a *api.API, o Options) {
	checks := make([]Check, len(o.Checks))
	for i, c := range o.Checks {
		checks[i] = cached(c)
	}
	state := &stateLog{logger: o.Logger}
	api.Register(a, api.Operation{
		ID: "health", Method: http.MethodGet, Path: "/health", Tag: "Health", Unlimited: true,
		Summary:     "Check that the server is alive",
		Description: "Answers as long as the server runs. It does not query the database.",
		Response:    health{Status: "healthy", Timestamp: api.ExampleTime, Version: "1.0.0"},
	}, func(context.Context, *struct{}) (*healthOutput, error) {
		return &healthOutput{Body: health{Status: "healthy", Timestamp: api.Time(time.Now()), Version: o.Version}}, nil
	})
	api.Register(a, api.Operation{
		ID: "health-ready", Method: http.MethodGet, Path: "/health/ready", Tag: "Health", Unlimited: true,
		Summary: "Check that the server is ready",
		Description: "Fails with 503 while a part that every request needs is down; the details of the error name each " +
			"such part. A part that only some requests need, such as a plugin, is reported as degraded.",
		Response: readiness{
			Status: "ready", Timestamp: api.ExampleTime, Version: "1.0.0",
			Checks: []checkResult{
				{Name: "database", Status: "ok"}, {Name: "plugins", Status: "degraded", Message: "llm openai is restarting"},
			},
		},
	}, func(ctx context.Context, _ *struct{}) (*readinessOutput, error) {
		results, err := runChecks(ctx, checks)
		state.record(ctx, err)
		if err != nil {
			return nil, err
		}
		return &readinessOutput{
			Body: readiness{Status: "ready", Timestamp: api.Time(time.Now()), Version: o.Version, Checks: results},
		}, nil
	})
}

// cacheTime is how long the result of the checks is used.
const cacheTime = time.Second

// cached returns a check whose result is used for cacheTime, because everyone can call /health/ready without a rate
// limit. Concurrent callers share one check.
func cached(check Check) Check {
	if check.Instant {
		return check
	}
	lock := make(chan struct{}, 1)
	var at time.Time
	var result error
	ready := check.Ready
	check.Ready = func(ctx context.Context) error {
		select {
		case lock <- struct{}{}:
			defer func() { <-lock }()
		case <-ctx.Done():
			return ctx.Err()
		}
		if at.IsZero() || time.Since(at) >= cacheTime {
			// The result is for all callers, so it does not end with the request of one.
			shared, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
			defer cancel()
			result, at = ready(shared), time.Now()
		}
		return result
	}
	return check
}

// runChecks runs all checks concurrently. It fails with Unavailable if a check fails that is required for
// readiness.
func runChecks(ctx context.Context, checks []Check) ([]checkResult, error) {
	failures := make([]error, len(checks))
	var running sync.WaitGroup
	for i, c := range checks {
		running.Go(func() { failures[i] = c.run(ctx, checkTimeout) })
	}
	running.Wait()
	results := make([]checkResult, len(checks))
	down := core.Unavailable("The server is not ready")
	for i, c := range checks {
		results[i] = checkResult{Name: c.Name, Status: "ok"}
		err := failures[i]
		if err == nil {
			continue
		}
		reason := "Not working. See the server's log."
		var e *core.Error
		if errors.As(err, &e) {
			reason = e.Message
		}
		if c.Degrades {
			results[i].Status, results[i].Message = "degraded", reason
			continue
		}
		down.Fields = append(down.Fields, core.FieldError{Field: c.Name, Issue: reason})
		down.Err = errors.Join(down.Err, err)
	}
	if len(down.Fields) > 0 {
		return nil, down
	}
	return results, nil
}

// run runs the check, and fails after the timeout even if the check ignores its context.
func (c Check) run(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- c.Ready(ctx) }()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return core.Unavailable("Did not answer within %s", timeout)
	}
}
