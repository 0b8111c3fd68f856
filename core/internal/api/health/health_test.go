package health_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
	"github.com/agentarea/agentarea/core/internal/api/health"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	var database, plugins error
	s := apitest.New(t)
	health.Register(s.API, health.Options{Version: "1.0.0", Checks: []health.Check{
		{Name: "database", Instant: true, Ready: func(context.Context) error { return database }},
		{Name: "plugins", Degrades: true, Instant: true, Ready: func(context.Context) error { return plugins }},
	}})
	got := s.Do(t, "", "GET", "/health", "").Want(200).JSON()
	if got["status"] != "healthy" || got["version"] != "1.0.0" || got["timestamp"] == nil || len(got) != 3 {
		t.Errorf("GET /health = %v, want status healthy, version 1.0.0 and a timestamp", got)
	}
	got = s.Do(t, "", "GET", "/health/ready", "").Want(200).JSON()
	if fmt.Sprint(got["status"], got["checks"]) != "ready[map[name:database status:ok] map[name:plugins status:ok]]" {
		t.Errorf("GET /health/ready = %v, want ready with two checks", got)
	}

	plugins = core.Unavailable("llm openai is restarting")
	got = s.Do(t, "", "GET", "/health/ready", "").Want(200).JSON()
	if fmt.Sprint(got["checks"]) != "[map[name:database status:ok] map[message:llm openai is restarting name:plugins "+
		"status:degraded]]" {
		t.Errorf("GET /health/ready with a degraded part = %v, want its message", got)
	}

	database = apitest.ErrPrivate
	f := s.Do(t, "", "GET", "/health/ready/", "").Want(503).Failure()
	if f.Details.Field != "database" || strings.Contains(f.Details.Issue, "10.0.0.7") {
		t.Errorf("GET /health/ready without a database: got %+v, want field database and no private text", f)
	}
	database = core.Unavailable("It is locked")
	if f := s.Do(t, "", "GET", "/health/ready", "").Want(503).Failure(); f.Details.Issue != "It is locked" {
		t.Errorf("GET /health/ready: got %+v, want the message of the check", f)
	}

	s.Do(t, "", "GET", "/health", "").Want(200)
	if h := s.Do(t, "", "HEAD", "/health", "").Want(200); h.Header().Get("X-Request-ID") == "" {
		t.Error("HEAD /health: got no X-Request-ID")
	}
}

// The log has each change of the readiness once, however often monitors ask.
func TestReady_logsChanges(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	var database error
	s := apitest.New(t)
	health.Register(s.API, health.Options{
		Logger: slog.New(slog.NewTextHandler(&out, nil)),
		Checks: []health.Check{{Name: "database", Instant: true, Ready: func(context.Context) error { return database }}},
	})
	for _, step := range []struct {
		database error
		want     string
	}{
		{nil, ""},
		{apitest.ErrPrivate, `level=WARN msg="the server is not ready"`},
		{core.Unavailable("It is locked"), ""},
		{nil, `level=INFO msg="the server is ready again"`},
		{nil, ""},
	} {
		database = step.database
		out.Reset()
		for range 3 {
			s.Do(t, "", "GET", "/health/ready", "")
		}
		lines := 1
		if step.want == "" {
			lines = 0
		}
		if got := out.String(); strings.Count(got, "\n") != lines || !strings.Contains(got, step.want) {
			t.Errorf("the log of 3 requests with the error %v is %q, want %q", step.database, got, step.want)
		}
	}
	if strings.Contains(s.Log(), "msg=request") {
		t.Errorf("got the log of requests\n%s\nwant none at the level info", s.Log())
	}
}

// Everyone can ask for the readiness without a rate limit, so the checks run once per second at most.
func TestReady_isCached(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		s := apitest.New(t)
		health.Register(s.API, health.Options{Checks: []health.Check{
			{Name: "database", Ready: func(context.Context) error {
				runs++
				time.Sleep(10 * time.Millisecond)
				return nil
			}},
		}})
		for second := range 3 {
			var clients sync.WaitGroup
			for range 20 {
				clients.Go(func() { s.Do(t, "", "GET", "/health/ready", "").Want(200) })
			}
			clients.Wait()
			if runs != second+1 {
				t.Errorf("after %d seconds: %d runs of the check, want %d", second, runs, second+1)
			}
			time.Sleep(time.Second)
		}
	})
}
