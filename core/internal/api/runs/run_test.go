package runs_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
	"github.com/agentarea/agentarea/core/internal/api/runs"
	"github.com/agentarea/agentarea/sdk"
)

// fakeRuns keeps runs in memory. It is a runs.Store and a runs.Runner.
type fakeRuns struct {
	runs   map[string]*core.Run
	events func(after int64) core.EventStream
}

func (f *fakeRuns) Run(_ context.Context, v core.Actor, id string) (*core.Run, error) {
	if r := f.runs[id]; r != nil && (v.Admin() || r.UserID == v.UserID) {
		c := *r
		return &c, nil
	}
	return nil, core.NotFound("run", id)
}

func (f *fakeRuns) Watch(ctx context.Context, v core.Actor, id string, after int64) (core.EventStream, error) {
	if _, err := f.Run(ctx, v, id); err != nil {
		return nil, err
	}
	return f.events(after), nil
}

func (f *fakeRuns) Cancel(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string) (*core.Run, error) {
	r, err := f.Run(ctx, v, id)
	if err != nil {
		return nil, err
	}
	if r.Status.Ended() {
		return nil, core.Conflict("The run %q has ended", id)
	}
	r.CancelRequested = true
	audit.Claim()
	return r, nil
}

func newEnv(t *testing.T) (*apitest.Server, *fakeRuns) {
	t.Helper()
	s, f := apitest.New(t), &fakeRuns{runs: map[string]*core.Run{}}
	runs.Register(s.API, f, f)
	return s, f
}

func TestRuns(t *testing.T) {
	t.Parallel()
	s, f := newEnv(t)
	f.runs["run-1"] = &core.Run{
		ID: "run-1", UserID: "user-ann", Status: core.RunRunning, Usage: sdk.Usage{InputTokens: 1, OutputTokens: 2},
	}
	f.runs["run-2"] = &core.Run{
		ID: "run-2", UserID: "user-ann", Status: core.RunFailed, EndedAt: time.Now(),
		Error: &sdk.Error{Code: sdk.CodeInternal, Message: apitest.ErrPrivate.Error()},
	}
	got := s.Do(t, "ann", "GET", "/v1/runs/run-1", "").Want(200).JSON()
	if got["status"] != "running" || got["ended_at"] != nil || got["usage"].(map[string]any)["output_tokens"] != 2.0 {
		t.Errorf("run-1 = %v, want a running run with 2 output tokens", got)
	}
	failed := s.Do(t, "ann", "GET", "/v1/runs/run-2", "").Want(200)
	if strings.Contains(failed.Body.String(), "10.0.0.7") || !strings.Contains(failed.Body.String(), "run_id run-2") ||
		failed.JSON()["error"].(map[string]any)["code"] != "internal" {
		t.Errorf("run-2 = %s, want an internal error with its run_id and without private text", failed.Body)
	}
	if c := s.Do(t, "ann", "POST", "/v1/runs/run-1/cancel", "").Want(200).JSON(); c["cancel_requested"] != true {
		t.Errorf("cancelled run = %v, want cancel_requested", c)
	}
	s.Do(t, "ann", "POST", "/v1/runs/run-2/cancel", "").Want(409)
	s.Do(t, "root", "GET", "/v1/runs/run-1", "").Want(200)
	for _, request := range []string{"GET /v1/runs/run-1", "GET /v1/runs/run-1/events", "POST /v1/runs/run-1/cancel"} {
		method, path, _ := strings.Cut(request, " ")
		s.Do(t, "bob", method, path, "").Want(404)
	}
}

func TestRunEvents_resume(t *testing.T) {
	t.Parallel()
	s, f := newEnv(t)
	f.runs["run-1"] = &core.Run{ID: "run-1", UserID: "user-ann"}
	f.events = func(after int64) core.EventStream {
		return &apitest.Events{Batches: [][]core.Event{{apitest.Event(after+1, `{"type":"end"}`)}}}
	}
	for header, want := range map[string]string{"X: ": "id: 8\n", "Last-Event-ID: 20": "id: 21\n"} {
		got := s.Do(t, "ann", "GET", "/v1/runs/run-1/events?after=7", "", header).Want(200).Body.String()
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %s, want %s first", header, got, want)
		}
	}
	got := s.Do(t, "ann", "HEAD", "/v1/runs/run-1/events", "").Want(200)
	if got.Body.Len() != 0 || got.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: got headers %v and body %s, want an event stream without a body", got.Header(), got.Body)
	}
	for field, request := range map[string][2]string{
		"Last-Event-ID": {"", "Last-Event-ID: last"}, "after": {"?after=-1", "X: "},
	} {
		f := s.Do(t, "ann", "GET", "/v1/runs/run-1/events"+request[0], "", request[1]).Want(400).Failure()
		if f.Details.Field != field {
			t.Errorf("got %+v, want field %s", f.Details, field)
		}
	}
}

// An API key without files:read sees that an agent used the tools for files, but not what they read and wrote.
func TestRunEvents_hideFiles(t *testing.T) {
	t.Parallel()
	s, f := newEnv(t)
	f.runs["run-1"] = &core.Run{ID: "run-1", UserID: "user-ann"}
	f.events = func(int64) core.EventStream {
		return &apitest.Events{Batches: [][]core.Event{{
			apitest.Event(1, `{"type":"tool_call","id":"a","name":"files__write","arguments":{"content":"secret-1"}}`),
			apitest.Event(2, `{"type":"tool_result","id":"a","name":"files__read","content":[{"text":"secret-2"}],"is_error":false}`),
			apitest.Event(3, `{"type":"tool_result","id":"b","name":"web__get","content":[{"text":"about files__read"}],"is_error":false}`),
			apitest.Event(4, `{"type":"token","content":"files__"}`),
		}}}
	}
	hidden := s.Do(t, s.AddKey("ann", "chat:read"), "GET", "/v1/runs/run-1/events", "").Want(200).Body.String()
	for _, want := range []string{
		`"name":"files__write"`, `"content":[{"text":"[hidden: the API key needs the scope files:read]"}]`,
		`[{"text":"about files__read"}]`, `{"type":"token","content":"files__"}`,
	} {
		if !strings.Contains(hidden, want) {
			t.Errorf("a key without files:read got %s, want it to contain %s", hidden, want)
		}
	}
	if strings.Contains(hidden, "secret") {
		t.Errorf("a key without files:read got %s", hidden)
	}
	for _, who := range []string{"ann", s.AddKey("ann", "chat:read", "files:read")} {
		if got := s.Do(t, who, "GET", "/v1/runs/run-1/events", "").Want(200).Body.String(); strings.Count(got, "secret") != 2 {
			t.Errorf("%s got %s, want both contents", who, got)
		}
	}
}
