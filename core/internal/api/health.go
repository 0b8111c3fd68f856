package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/agentarea/agentarea/core"
)

type health struct {
	Status    string `json:"status" enum:"healthy,ready"`
	Timestamp stamp  `json:"timestamp"`
	Version   string `json:"version" doc:"The server's version"`
}

type healthOutput struct{ Body health }

var exampleTime = stamp(time.Date(2025, 1, 31, 12, 0, 0, 123456000, time.UTC))

func (a *api) registerHealth() {
	register(a, operation{
		id: "health", method: http.MethodGet, path: "/health", tag: "Health", unlimited: true,
		summary: "Is the server alive?", about: "Answers as long as the server runs; it asks nothing of the database.",
		response: health{Status: "healthy", Timestamp: exampleTime, Version: "1.0.0"},
	}, func(context.Context, *struct{}) (*healthOutput, error) {
		return a.health("healthy"), nil
	})
	register(a, operation{
		id: "health-ready", method: http.MethodGet, path: "/health/ready", tag: "Health", unlimited: true,
		summary: "Can the server do its work?", about: "503 while a part that is needed is down; details name it.",
		response: health{Status: "ready", Timestamp: exampleTime, Version: "1.0.0"},
	}, func(ctx context.Context, _ *struct{}) (*healthOutput, error) {
		if err := a.ready(ctx); err != nil {
			return nil, err
		}
		return a.health("ready"), nil
	})
}

func (a *api) health(status string) *healthOutput {
	return &healthOutput{Body: health{Status: status, Timestamp: stamp(time.Now()), Version: a.version}}
}

func (a *api) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	down := core.Unavailable("The server is not ready")
	for _, c := range a.checks {
		err := c.Ready(ctx)
		if err == nil {
			continue
		}
		reason := "Is down; the server's log says why"
		var e *core.Error
		if errors.As(err, &e) {
			reason = e.Message
		}
		down.Fields = append(down.Fields, core.FieldError{Field: c.Name, Issue: reason})
		down.Err = errors.Join(down.Err, err)
	}
	if len(down.Fields) > 0 {
		return down
	}
	return nil
}
