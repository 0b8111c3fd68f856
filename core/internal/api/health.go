package api

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

// checkTime is how long a part may take to say that it is well.
const checkTime = 2 * time.Second

type health struct {
	Status    string `json:"status" enum:"healthy"`
	Timestamp stamp  `json:"timestamp"`
	Version   string `json:"version" doc:"The server's version"`
}

type healthOutput struct{ Body health }

type readiness struct {
	Status    string        `json:"status" enum:"ready"`
	Timestamp stamp         `json:"timestamp"`
	Version   string        `json:"version" doc:"The server's version"`
	Checks    []checkResult `json:"checks" doc:"What was looked at"`
}

type checkResult struct {
	Name    string `json:"name"`
	Status  string `json:"status" enum:"ok,degraded" doc:"degraded: the server does its work, but not all of it"`
	Message string `json:"message,omitempty" doc:"What is wrong"`
}

type readinessOutput struct{ Body readiness }

var exampleTime = stamp(time.Date(2025, 1, 31, 12, 0, 0, 123456000, time.UTC))

func (a *api) registerHealth() {
	register(a, operation{
		id: "health", method: http.MethodGet, path: "/health", tag: "Health", unlimited: true,
		summary: "Is the server alive?", about: "Answers as long as the server runs; it asks nothing of the database.",
		response: health{Status: "healthy", Timestamp: exampleTime, Version: "1.0.0"},
	}, func(context.Context, *struct{}) (*healthOutput, error) {
		return &healthOutput{Body: health{Status: "healthy", Timestamp: stamp(time.Now()), Version: a.version}}, nil
	})
	register(a, operation{
		id: "health-ready", method: http.MethodGet, path: "/health/ready", tag: "Health", unlimited: true,
		summary: "Can the server do its work?",
		about: "503 while a part is down that everything needs; details name each. " +
			"A part that some things need only, such as a plugin, is told as degraded.",
		response: readiness{
			Status: "ready", Timestamp: exampleTime, Version: "1.0.0",
			Checks: []checkResult{{Name: "database", Status: "ok"}, {Name: "plugins", Status: "degraded", Message: "llm openai is restarting"}},
		},
	}, func(ctx context.Context, _ *struct{}) (*readinessOutput, error) {
		results, err := a.ready(ctx)
		if err != nil {
			return nil, err
		}
		return &readinessOutput{Body: readiness{Status: "ready", Timestamp: stamp(time.Now()), Version: a.version, Checks: results}}, nil
	})
}

// ready looks at all parts at once. It fails when one is down that everything needs.
func (a *api) ready(ctx context.Context) ([]checkResult, error) {
	failures := make([]error, len(a.checks))
	var all sync.WaitGroup
	for i, c := range a.checks {
		all.Go(func() { failures[i] = c.within(ctx, checkTime) })
	}
	all.Wait()
	results := make([]checkResult, len(a.checks))
	down := core.Unavailable("The server is not ready")
	for i, c := range a.checks {
		results[i] = checkResult{Name: c.Name, Status: "ok"}
		err := failures[i]
		if err == nil {
			continue
		}
		reason := "Is down; the server's log says why"
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

// within asks a part, and does not wait longer for one that ignores its context.
func (c Check) within(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer := make(chan error, 1)
	go func() { answer <- c.Ready(ctx) }()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return core.Unavailable("Does not answer within %s", limit)
	}
}
