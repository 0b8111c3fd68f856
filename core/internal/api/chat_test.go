package api

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

func TestChatByTheContract(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addAgent("agent-1", "ann")
	a := b.do(t, "ann", "POST", "/v1/agents/agent-1/chat", `{"message":"Hello","session_id":"session-123","stream":false}`).want(200)
	runID := a.json()["metadata"].(map[string]any)["run_id"].(string)
	want := `{"id":"msg-456","message":"<Hello> & welcome","session_id":"session-123","timestamp":"2025-01-02T02:04:05.000006Z",` +
		`"metadata":{"model":"gpt-4","tokens_used":150,"run_id":"` + runID + `"}}`
	if got := strings.TrimSpace(a.Body.String()); got != want {
		t.Errorf("got %s", got)
	}
	if turn := b.turns[0]; turn.Stream || turn.SessionID != "session-123" || turn.Parts[0].Text != "Hello" || turn.Agent.ID != "agent-1" {
		t.Errorf("the turn is %+v", turn)
	}
	if got := b.do(t, "ann", "POST", "/v1/agents/agent-1/chat/", `{"message":"Hello"}`).want(200).json()["session_id"]; got != "session-new" {
		t.Errorf("without a session it is %v", got)
	}
}

func TestChatFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
	}{
		{&core.Error{Code: core.CodeUpstream, Message: `The provider "openai" failed`}, 502},
		{core.Unavailable(`The plugin llm "openai" is down`), 503},
		{&core.Error{Code: core.CodeUpstreamTimeout, Message: "too slow"}, 504},
		{errBoom, 500},
	} {
		b := newBench(t)
		b.addAgent("agent-1", "ann")
		b.waitErr = c.err
		b.do(t, "ann", "POST", "/v1/agents/agent-1/chat", `{"message":"Hello"}`).want(c.status)
	}
}

func event(seq int64, data string) core.Event {
	return core.Event{Seq: seq, Data: json.RawMessage(data)}
}

func TestStreamingChatByTheContract(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addAgent("agent-1", "ann")
	b.events = func(_ context.Context, after int64) core.EventStream {
		if after != 0 {
			t.Errorf("it watches from %d", after)
		}
		return &script{last: eof, batches: [][]core.Event{
			{event(1, `{"type":"start","session_id":"session-123"}`)},
			{event(2, `{"type":"token","content":"<Once>"}`), event(3, `{"type":"token","content":" upon"}`)},
			{event(4, "{\n\"type\":\"end\",\n\"message_id\":\"msg-789\"}")},
		}}
	}
	a := b.do(t, "ann", "POST", "/v1/agents/agent-1/chat", `{"message":"Tell me a story","session_id":"session-123","stream":true}`).want(200)
	want := "id: 1\ndata: {\"type\":\"start\",\"session_id\":\"session-123\"}\n\n" +
		"id: 2\ndata: {\"type\":\"token\",\"content\":\"<Once>\"}\n\nid: 3\ndata: {\"type\":\"token\",\"content\":\" upon\"}\n\n" +
		"id: 4\ndata: {\"type\":\"end\",\"message_id\":\"msg-789\"}\n\n"
	if got := a.Body.String(); got != want {
		t.Errorf("got %s", got)
	}
	for name, value := range map[string]string{"Content-Type": "text/event-stream", "X-Accel-Buffering": "no", "Cache-Control": "no-store"} {
		if got := a.Header().Get(name); got != value {
			t.Errorf("%s is %s", name, got)
		}
	}
	if !b.turns[0].Stream {
		t.Error("the turn is not to be streamed")
	}
}

func TestEventsContinue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.runs["run-1"] = &core.Run{ID: "run-1", UserID: "user-ann"}
	b.events = func(_ context.Context, after int64) core.EventStream {
		return &script{last: eof, batches: [][]core.Event{{event(after+1, `{"type":"end"}`)}}}
	}
	for header, want := range map[string]string{"": "id: 8\n", "Last-Event-ID: 20": "id: 21\n"} {
		var headers []string
		if header != "" {
			headers = append(headers, header)
		}
		if got := b.do(t, "ann", "GET", "/v1/runs/run-1/events?after=7", "", headers...).want(200).Body.String(); !strings.HasPrefix(got, want) {
			t.Errorf("%q gives %s", header, got)
		}
	}
	if got := b.do(t, "ann", "HEAD", "/v1/runs/run-1/events", "").want(200); got.Body.Len() != 0 || got.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD gives %v %s", got.Header(), got.Body)
	}
}

// open starts a real server with ann's stream of run-1 on it.
func (b *bench) open(t *testing.T) (*bufio.Reader, func()) {
	t.Helper()
	b.runs["run-1"] = &core.Run{ID: "run-1", UserID: "user-ann"}
	return b.openStream(t, "/v1/runs/run-1/events")
}

func (b *bench) openStream(t *testing.T, path string) (*bufio.Reader, func()) {
	t.Helper()
	server := httptest.NewServer(b.handler)
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+b.tokens["ann"])
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	leave := func() { _ = res.Body.Close() }
	t.Cleanup(leave)
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	return bufio.NewReader(res.Body), leave
}

func TestASilentStreamHasHeartbeats(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.api.heartbeat, b.api.recheck = time.Millisecond, time.Millisecond
	b.events = func(context.Context, int64) core.EventStream { return &script{last: block} }
	lines, _ := b.open(t)
	for range 3 {
		line, err := lines.ReadString('\n')
		if err != nil || line != ": still here\n" && line != "\n" {
			t.Fatal(line, err)
		}
	}
}

func TestAStreamEndsWithItsLogin(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.api.recheck = time.Millisecond
	b.events = func(context.Context, int64) core.EventStream { return &script{last: block} }
	lines, _ := b.open(t)
	if err := b.auth.Logout(t.Context(), "login-ann"); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(lines)
	if err != nil || !strings.Contains(string(rest), `data: {"type":"error","error":{"code":"UNAUTHORIZED"`) {
		t.Errorf("it ends with %s (%v)", rest, err)
	}
}

func TestAStreamLetsGoWhenItsClientLeaves(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	gone := make(chan struct{})
	b.events = func(context.Context, int64) core.EventStream {
		return &script{
			batches: [][]core.Event{{event(1, `{"type":"start"}`)}},
			last: func(ctx context.Context) error {
				defer close(gone)
				return block(ctx)
			},
		}
	}
	lines, leave := b.open(t)
	if line, err := lines.ReadString('\n'); err != nil || line != "id: 1\n" {
		t.Fatal(line, err)
	}
	leave()
	<-gone
}

func TestAStreamThatBreaksSaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.runs["run-1"] = &core.Run{ID: "run-1", UserID: "user-ann"}
	b.events = func(context.Context, int64) core.EventStream {
		return &script{batches: [][]core.Event{{event(1, `{"type":"start"}`)}}, last: func(context.Context) error { return errBoom }}
	}
	got := b.do(t, "ann", "GET", "/v1/runs/run-1/events", "", "X-Request-ID: req-1").want(200).Body.String()
	want := "id: 1\ndata: {\"type\":\"start\"}\n\n" +
		"data: {\"type\":\"error\",\"error\":{\"code\":\"INTERNAL_ERROR\",\"message\":\"Internal server error\",\"details\":{},\"request_id\":\"req-1\"}}\n\n"
	if got != want {
		t.Errorf("got %s", got)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addAgent("agent-1", "ann", func(a *core.Agent) { a.Shared = true })
	at := time.Date(2025, 1, 2, 3, 4, 5, 123456000, time.UTC)
	for i, m := range []struct{ user, session, text string }{
		{"ann", "s1", "one"}, {"ann", "s1", "two"}, {"bob", "s1", "his"}, {"ann", "s2", "three"},
	} {
		b.messages = append(b.messages, &core.Message{
			ID: "msg-" + m.text, AgentID: "agent-1", UserID: "user-" + m.user, SessionID: m.session, Role: sdk.RoleUser,
			Parts: []sdk.Part{{Text: m.text}}, CreatedAt: at.Add(time.Duration(i) * time.Microsecond),
		})
	}
	for name, c := range map[string]struct{ who, query, want string }{
		"own":              {"ann", "", "one two three"},
		"of a session":     {"ann", "session_id=s1", "one two"},
		"of no session":    {"ann", "session_id=none", ""},
		"newest":           {"ann", "limit=1", "three +"},
		"before":           {"ann", "before=2025-01-02T03:04:05.123459Z", "one two"},
		"before, shifted":  {"ann", "before=2025-01-02T04:04:05.123457+01:00", "one"},
		"of bob":           {"bob", "", "his"},
		"of bob, by admin": {"root", "user_id=user-bob", "his"},
		"admin's own":      {"root", "", ""},
	} {
		got := b.do(t, c.who, "GET", "/v1/agents/agent-1/chat/history?"+c.query, "").want(200).json()
		var texts []string
		for _, m := range got["messages"].([]any) {
			texts = append(texts, m.(map[string]any)["content"].(string))
		}
		if got["has_more"] == true {
			texts = append(texts, "+")
		}
		if s := strings.Join(texts, " "); s != c.want {
			t.Errorf("%s: %s", name, s)
		}
	}
	one := b.do(t, "bob", "GET", "/v1/agents/agent-1/chat/history", "").Body.String()
	want := `{"id":"msg-his","role":"user","content":"his","session_id":"s1","timestamp":"2025-01-02T03:04:05.123458Z","metadata":{}}`
	if !strings.Contains(one, want) {
		t.Errorf("a message is %s", one)
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addAgent("agent-1", "ann")
	b.sessions = []*core.Session{{ID: "s1", AgentID: "agent-1", UserID: "user-ann", Messages: 2}, {ID: "s1", AgentID: "agent-1", UserID: "user-root"}}
	got := b.do(t, "ann", "GET", "/v1/agents/agent-1/sessions", "").want(200).json()
	if got["total"] != 1.0 || got["sessions"].([]any)[0].(map[string]any)["messages"] != 2.0 {
		t.Errorf("got %v", got)
	}
	b.do(t, "ann", "DELETE", "/v1/agents/agent-1/sessions/s1", "").want(204)
	b.do(t, "ann", "DELETE", "/v1/agents/agent-1/sessions/s1", "").want(404)
	if len(b.sessions) != 1 {
		t.Error("somebody else's is gone")
	}
}

func TestRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.runs["run-1"] = &core.Run{ID: "run-1", UserID: "user-ann", Status: core.RunRunning, Usage: sdk.Usage{InputTokens: 1, OutputTokens: 2}}
	b.runs["run-2"] = &core.Run{
		ID: "run-2", UserID: "user-ann", Status: core.RunFailed, EndedAt: time.Now(),
		Error: &sdk.Error{Code: sdk.CodeInternal, Message: errBoom.Error()},
	}
	got := b.do(t, "ann", "GET", "/v1/runs/run-1", "").want(200).json()
	if got["status"] != "running" || got["ended_at"] != nil || got["usage"].(map[string]any)["output_tokens"] != 2.0 {
		t.Errorf("got %v", got)
	}
	failed := b.do(t, "ann", "GET", "/v1/runs/run-2", "").want(200)
	if strings.Contains(failed.Body.String(), "10.0.0.7") || failed.json()["error"].(map[string]any)["code"] != "internal" {
		t.Errorf("got %s", failed.Body)
	}
	if c := b.do(t, "ann", "POST", "/v1/runs/run-1/cancel", "").want(200).json(); c["cancel_requested"] != true {
		t.Errorf("got %v", c)
	}
	b.do(t, "ann", "POST", "/v1/runs/run-2/cancel", "").want(409)
	b.do(t, "root", "GET", "/v1/runs/run-1", "").want(200)
}
