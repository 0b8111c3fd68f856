package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/core/internal/run"
	"github.com/agentarea/agentarea/test/memnet"
)

// runStore has the runs that a test's engine resumes. They last until the engine abandons them.
type runStore struct {
	core.RunStore
	core.MessageStore
	runs []*core.Run
}

func (s *runStore) RenewLease(context.Context, string, time.Time) error { return nil }
func (s *runStore) ReleaseLease(context.Context, string) error          { return nil }

func (s *runStore) CancelRequests(context.Context, string) ([]string, error) { return nil, nil }

func (s *runStore) ClaimRuns(context.Context, string, time.Time, int) ([]*core.Run, error) {
	runs := s.runs
	s.runs = nil
	return runs, nil
}

func (s *runStore) Message(ctx context.Context, _ string) (*core.Message, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// The server stops when its runs and requests have ended, and at a fixed time if they do not end. The clock
// is a fake one.
func TestDrain_limit(t *testing.T) {
	t.Parallel()
	const runLimit, limit = 20 * time.Second, 23 * time.Second // docs/operations.md promises these
	for _, tt := range []struct {
		name string
		// delay is the drain delay. hurry skips it.
		delay time.Duration
		hurry bool
		runs  []*core.Run
		// handler serves a request that is in progress when the server stops.
		handler http.HandlerFunc
		want    time.Duration
	}{
		{name: "nothing to wait for"},
		{name: "a drain delay", delay: 5 * time.Second, want: 5 * time.Second},
		{name: "a drain delay that is skipped", delay: 5 * time.Second, hurry: true},
		{
			name: "a drain delay and a run that does not end", delay: 5 * time.Second, runs: []*core.Run{{ID: "run-1"}},
			want: 5*time.Second + runLimit,
		},
		{
			name: "a drain delay during a request", delay: 5 * time.Second,
			handler: func(http.ResponseWriter, *http.Request) { time.Sleep(6 * time.Second) }, want: 6 * time.Second,
		},
		{
			name:    "a request that ends",
			handler: func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) }, want: time.Second,
		},
		{name: "a run that does not end", runs: []*core.Run{{ID: "run-1"}}, want: runLimit},
		{
			name:    "a request that waits for a run",
			handler: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, want: admitGrace + requestsGrace,
		},
		{
			name: "a request that waits for a run that does not end", runs: []*core.Run{{ID: "run-1"}},
			handler: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, want: limit,
		},
		{
			name:    "a request that does not end",
			handler: func(http.ResponseWriter, *http.Request) { time.Sleep(time.Hour) }, want: limit,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				hurry := make(chan struct{})
				if tt.hurry {
					close(hurry)
				}
				took := drainTime(t, tt.delay, hurry, tt.runs, tt.handler)
				// http.Server polls its connections.
				if took < tt.want || took > tt.want+500*time.Millisecond {
					t.Errorf("the server stopped after %s, want %s", took, tt.want)
				}
			})
		})
	}
}

// drainTime returns how long a server takes to stop that has a drain delay, executes runs and serves a request with
// handler, unless it is nil.
func drainTime(
	t *testing.T, delay time.Duration, hurry <-chan struct{}, runs []*core.Run, handler http.HandlerFunc,
) time.Duration {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	store := &runStore{runs: runs}
	a := &App{
		settings: &config.Settings{DrainDelay: delay}, logger: logger, http: newHTTPServers(),
		draining: make(chan struct{}), stopping: make(chan struct{}),
	}
	a.engine = run.New(run.Options{Runs: store, Messages: store, Logger: logger, Owner: "process-1"})
	if err := a.engine.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := memnet.Listen()
	a.http.listeners = append(a.http.listeners, l)
	a.http.add(handler, logger)
	failed := a.http.serve()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if handler == nil {
			return
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://server.example/", nil)
		if err != nil {
			t.Error(err)
			return
		}
		client := l.Client()
		defer client.CloseIdleConnections()
		if r, err := client.Do(req); err == nil {
			_ = r.Body.Close()
		}
	}()
	synctest.Wait() // until the request and the runs are in progress
	began := time.Now()
	a.drain(t.Context(), hurry)
	took := time.Since(began)
	<-done
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	time.Sleep(time.Hour) // until the last handler has returned
	return took
}

// Clients close their connections while the server is about to stop, so that no request is sent on a connection that
// the server closes at the same moment.
func TestCloseWhenLeaving(t *testing.T) {
	t.Parallel()
	for want, leaving := range map[string]bool{"": false, "close": true} {
		h := newHTTPServers()
		h.leaving.Store(leaving)
		w := httptest.NewRecorder()
		h.closeWhenLeaving(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if got := w.Header().Get("Connection"); got != want {
			t.Errorf("leaving %t: got Connection %q, want %q", leaving, got, want)
		}
	}
}

// A service manager must not kill the server before all of its parts have had their time to stop.
func TestStopTimeoutsOfServiceManagers(t *testing.T) {
	t.Parallel()
	const drainDelay = 5 * time.Second // the default
	// At the end, plugins that do not stop are killed.
	const least = drainDelay + runsGrace + requestsGrace + mcpServersGrace + pluginsGrace + 10*time.Second
	for file, pattern := range map[string]string{
		"deploy/agentarea.service": `(?m)^TimeoutStopSec=(\d+s)$`,
		"compose.yaml":             `(?m)stop_grace_period: (\d+s)$`,
		"docs/operations.md":       `After (\d+) s systemd kills the remaining`,
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", "..", filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindSubmatch(text)
		if found == nil {
			t.Errorf("%s does not match %s", file, pattern)
			continue
		}
		value := string(found[1])
		if file == "docs/operations.md" {
			value += "s"
		}
		if got, err := time.ParseDuration(value); err != nil || got < least {
			t.Errorf("%s gives the server %s (%v) to stop, want at least %s", file, got, err, least)
		}
	}
}
