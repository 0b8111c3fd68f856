package chat

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
	"github.com/agentarea/agentarea/sdk"
)

func TestChat(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "ann")
	a := env.Do(t, "ann", "POST", "/v1/agents/agent-1/chat",
		`{"message":"Hello","session_id":"session-123","stream":false}`).Want(200)
	runID := a.JSON()["metadata"].(map[string]any)["run_id"].(string)
	want := `{"id":"msg-456","message":"<Hello> & welcome","session_id":"session-123","timestamp":"2025-01-02T02:04:05.000006Z",` +
		`"metadata":{"model":"gpt-4","tokens_used":150,"run_id":"` + runID + `"}}`
	if got := strings.TrimSpace(a.Body.String()); got != want {
		t.Errorf("got %s", got)
	}
	if turn := env.turns[0]; turn.Stream || turn.SessionID != "session-123" || turn.Parts[0].Text != "Hello" ||
		turn.Agent.ID != "agent-1" {
		t.Errorf("got turn %+v", turn)
	}
	if got := env.Do(t, "ann", "POST",
		"/v1/agents/agent-1/chat/", `{"message":"Hello"}`).Want(200).JSON()["session_id"]; got != "session-new" {
		t.Errorf("got session %v, want session-new", got)
	}
}

// TestChat_idempotencyKey checks that a repeated request joins the run of the first one and starts none.
func TestChat_idempotencyKey(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "ann")
	send := func(body string) *apitest.Answer {
		return env.Do(t, "ann", "POST", "/v1/agents/agent-1/chat", body, "Idempotency-Key: k")
	}
	first := send(`{"message":"Hello","session_id":"s"}`).Want(200)
	env.agents["agent-1"].Status = core.AgentInactive
	again := send(`{ "message": "Hello", "session_id": "s" }`).Want(200)
	if again.Header().Get("Idempotency-Replayed") != "true" || again.JSON()["id"] != first.JSON()["id"] {
		t.Errorf("the repeated request returned %s with headers %v, want %s", again.Body, again.Header(), first.Body)
	}
	if len(env.turns) != 1 {
		t.Errorf("the requests started %d turns, want 1", len(env.turns))
	}
	if f := send(`{"message":"Bye","session_id":"s"}`).Want(409).Failure(); f.Details.Field != "Idempotency-Key" {
		t.Errorf("another message with the key = %+v, want an error of the Idempotency-Key", f)
	}
	env.waitErr = core.NotFound("run", "run-1")
	if f := send(`{"message":"Hello","session_id":"s"}`).Want(409).Failure(); f.Details.Field != "Idempotency-Key" {
		t.Errorf("the repeated request of a deleted run = %+v, want an error of the Idempotency-Key", f)
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
		{apitest.ErrPrivate, 500},
	} {
		env := newEnv(t)
		env.agents.Add("agent-1", "ann")
		env.waitErr = c.err
		f := env.Do(t, "ann", "POST", "/v1/agents/agent-1/chat", `{"message":"Hello"}`).Want(c.status).Failure()
		if !strings.HasPrefix(f.Details.RunID, "run-") {
			t.Errorf("%v: got %+v, want the run that failed", c.err, f)
		}
	}
}

func TestChat_stream(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "ann")
	env.events = func(_ context.Context, after int64) core.EventStream {
		if after != 0 {
			t.Errorf("got after = %d, want 0", after)
		}
		return &apitest.Events{Batches: [][]core.Event{
			{apitest.Event(1, `{"type":"start","session_id":"session-123"}`)},
			{apitest.Event(2, `{"type":"token","content":"<Once>"}`), apitest.Event(3, `{"type":"token","content":" upon"}`)},
			{apitest.Event(4, "{\n\"type\":\"end\",\n\"message_id\":\"msg-789\"}")},
		}}
	}
	a := env.Do(t, "ann", "POST", "/v1/agents/agent-1/chat",
		`{"message":"Tell me a story","session_id":"session-123","stream":true}`).Want(200)
	want := "id: 1\ndata: {\"type\":\"start\",\"session_id\":\"session-123\"}\n\n" +
		"id: 2\ndata: {\"type\":\"token\",\"content\":\"<Once>\"}\n\nid: 3\ndata: {\"type\":\"token\",\"content\":\" upon\"}\n\n" +
		"id: 4\ndata: {\"type\":\"end\",\"message_id\":\"msg-789\"}\n\n"
	if got := a.Body.String(); got != want {
		t.Errorf("got %s", got)
	}
	for name, value := range map[string]string{
		"Content-Type": "text/event-stream", "X-Accel-Buffering": "no", "Cache-Control": "no-store",
	} {
		if got := a.Header().Get(name); got != value {
			t.Errorf("got header %s: %s, want %s", name, got, value)
		}
	}
	if !env.turns[0].Stream {
		t.Error("got Turn.Stream = false")
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "ann", func(a *core.Agent) { a.Shared = true })
	at := time.Date(2025, 1, 2, 3, 4, 5, 123456000, time.UTC)
	for i, m := range []struct{ user, session, text string }{
		{"ann", "s1", "one"}, {"ann", "s1", "two"}, {"bob", "s1", "his"}, {"ann", "s2", "three"},
	} {
		env.messages = append(env.messages, &core.Message{
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
		got := env.Do(t, c.who, "GET", "/v1/agents/agent-1/chat/history?"+c.query, "").Want(200).JSON()
		var texts []string
		for _, m := range got["messages"].([]any) {
			texts = append(texts, m.(map[string]any)["content"].(string))
		}
		if got["has_more"] == true {
			texts = append(texts, "+")
		}
		if s := strings.Join(texts, " "); s != c.want {
			t.Errorf("%s: got %s, want %s", name, s, c.want)
		}
	}
	result := sdk.Message{Role: sdk.RoleTool, ToolCallID: "a", ToolError: true, Parts: []sdk.Part{{Text: "no"}}}
	env.messages = append(env.messages, &core.Message{
		ID: "msg-steps", AgentID: "agent-1", UserID: "user-bob", SessionID: "s3", Role: sdk.RoleAssistant, CreatedAt: at,
		Parts: []sdk.Part{{Text: "done"}}, Steps: []sdk.Message{
			{Role: sdk.RoleAssistant, ToolCalls: []sdk.ToolCall{{ID: "a", Name: "x", Arguments: "{}"}}},
			result,
			{Role: sdk.RoleAssistant, ToolCalls: []sdk.ToolCall{{ID: "a", Name: "y", Arguments: "[1]"}}},
		},
	})
	steps := env.Do(t, "bob", "GET", "/v1/agents/agent-1/chat/history?session_id=s3", "").Body.String()
	if want := `"tool_calls":[{"id":"a","name":"x","arguments":{},"result":"no","is_error":true},` +
		`{"id":"a","name":"y","arguments":{},"result":"","is_error":false}]`; !strings.Contains(steps, want) {
		t.Errorf("got history %s, want %s", steps, want)
	}
	env.messages[len(env.messages)-1].Steps = []sdk.Message{
		{Role: sdk.RoleAssistant, ToolCalls: []sdk.ToolCall{{ID: "a", Name: "files__read", Arguments: `{"file_id":"file-1"}`}}},
		{Role: sdk.RoleTool, ToolCallID: "a", Parts: []sdk.Part{{Text: "secret"}}},
	}
	for scopes, want := range map[string]bool{"chat:read": false, "chat:read files:read": true} {
		key := env.AddKey("bob", strings.Fields(scopes)...)
		got := env.Do(t, key, "GET", "/v1/agents/agent-1/chat/history?session_id=s3", "").Want(200).Body.String()
		if strings.Contains(got, "secret") != want || strings.Contains(got, "file-1") != want ||
			strings.Contains(got, api.HiddenFile) == want {
			t.Errorf("a key with %s got history %s, want the file shown: %t", scopes, got, want)
		}
	}
	one := env.Do(t, "bob", "GET", "/v1/agents/agent-1/chat/history?session_id=s1", "").Body.String()
	want := `{"id":"msg-his","role":"user","content":"his","session_id":"s1","timestamp":"2025-01-02T03:04:05.123458Z","metadata":{}}`
	if !strings.Contains(one, want) {
		t.Errorf("got history %s", one)
	}
}

func TestChat_files(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "ann")
	one := env.files.Add("file-1", "ann", "a.txt", "text/plain; charset=utf-8", 1)
	two := env.files.Add("file-2", "ann", "b.pdf", "application/pdf", 8)
	chat := "/v1/agents/agent-1/chat"
	env.Do(t, "ann", "POST", chat, `{"message":"Read these","file_ids":["file-2","file-1"]}`).Want(200)
	parts := env.turns[0].Parts
	if len(parts) != 3 || parts[0].Text != "Read these" || *parts[1].File != *two.Ref() || *parts[2].File != *one.Ref() {
		t.Errorf("got parts %+v", parts)
	}
	seventeen := `"x"` + strings.Repeat(`,"x"`, 16)
	for ids, want := range map[string][2]string{
		`["file-1","file-9"]`: {"file_ids[1]", `File "file-9" does not exist.`},
		`[` + seventeen + `]`: {"file_ids", "Must contain at most 16 items"},
		`"file-1"`:            {"file_ids", "Must be an array"},
		`[7]`:                 {"file_ids[0]", "Must be a string"},
	} {
		f := env.Do(t, "ann", "POST", chat, `{"message":"a","file_ids":`+ids+`}`).Want(400).Failure()
		if f.Details.Field != want[0] || !strings.Contains(f.Details.Issue, want[1]) {
			t.Errorf("%s: got %+v", ids, f.Details)
		}
	}
	env.Do(t, "ann", "POST", chat, `{"file_ids":["file-1"]}`).Want(400)

	at := time.Date(2025, 1, 2, 3, 4, 5, 678000, time.UTC)
	env.messages = []*core.Message{
		{ID: "msg-1", AgentID: "agent-1", UserID: "user-ann", SessionID: "s", Role: sdk.RoleUser, Parts: parts[:2], CreatedAt: at},
		{ID: "msg-2", AgentID: "agent-1", UserID: "user-ann", SessionID: "s", Role: sdk.RoleAssistant, Parts: []sdk.Part{{File: one.Ref()}}, CreatedAt: at},
	}
	got := env.Do(t, "ann", "GET", chat+"/history", "").Want(200).Body.String()
	for _, want := range []string{
		`"content":"Read these","files":[{"id":"file-2","name":"b.pdf","content_type":"application/pdf","size":8}],`,
		`"content":"","files":[{"id":"file-1","name":"a.txt","content_type":"text/plain; charset=utf-8","size":1}],`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got history %s", got)
		}
	}
	env.answer = []sdk.Part{{Text: "Here"}, {File: one.Ref()}}
	if a := env.Do(t, "ann", "POST", chat, `{"message":"a"}`).Want(200); !strings.Contains(a.Body.String(),
		`"message":"Here","files":[{"id":"file-1",`) {
		t.Errorf("got %s", a.Body)
	}
}

func TestChatInvalidRequests(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "ann")
	env.agents.Add("agent-off", "ann", func(a *core.Agent) { a.Status = core.AgentInactive })
	chat := "/v1/agents/agent-1/chat"
	for name, c := range map[string]struct {
		method, path, body string
		header             string
		status             int
		field, issue       string
	}{
		"no message":           {"POST", chat, `{}`, "", 400, "message", "Field is required"},
		"empty message":        {"POST", chat, `{"message":""}`, "", 400, "message", "Must not be empty"},
		"blank message":        {"POST", chat, `{"message":" \n "}`, "", 400, "message", "Must not be empty"},
		"message is a list":    {"POST", chat, `{"message":["a"]}`, "", 400, "message", "Must be a string"},
		"files in lists":       {"POST", chat, `{"message":"a","file_ids":[["file-1"],{}]}`, "", 400, "file_ids[0]", "Must be a string"},
		"stream in words":      {"POST", chat, `{"message":"a","stream":"yes"}`, "", 400, "stream", "Must be true or false"},
		"session by a bad id":  {"POST", chat, `{"message":"a","session_id":"a\tb"}`, "", 400, "session_id", "Must contain only printable characters, but character 2 is U+0009"},
		"session of a long id": {"POST", chat, `{"message":"a","session_id":"` + strings.Repeat("ü", 129) + `"}`, "", 400, "session_id", "at most 128 characters"},
		"session of no id":     {"POST", chat, `{"message":"a","session_id":""}`, "", 400, "session_id", "Must not be empty"},
		"history by a bad id":  {"GET", chat + "/history?session_id=a%0Ab", "", "", 400, "session_id", "Must contain only printable characters, but character 2 is U+000A"},
		"history twice":        {"GET", chat + "/history?before=2025-01-02T03:04:05Z&cursor=x", "", "", 400, "before", "Must be omitted with cursor"},
		"history of no page":   {"GET", chat + "/history?cursor=x", "", "", 400, "cursor", "Must be the next_cursor of a page of this list"},
		"session is busy":      {"POST", chat, `{"message":"a","session_id":"busy"}`, "", 409, "", ""},
		"inactive agent":       {"POST", "/v1/agents/agent-off/chat", `{"message":"a"}`, "", 409, "", ""},
		"chat with nobody":     {"POST", "/v1/agents/agent-0/chat", `{"message":"a"}`, "", 404, "agent_id", "not found"},
		"history before when":  {"GET", chat + "/history?before=yesterday", "", "", 400, "before", "or a time such as"},
		"history of many":      {"GET", chat + "/history?limit=1001", "", "", 400, "limit", "Must be at most 1000"},
		"history of another":   {"GET", chat + "/history?user_id=user-bob", "", "", 403, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := env.Do(t, "ann", c.method, c.path, c.body).Want(c.status).Failure()
			if f.Details.Field != c.field || !strings.Contains(f.Details.Issue, c.issue) {
				t.Errorf("got %+v, want field %q with issue %q", f.Details, c.field, c.issue)
			}
		})
	}
}

func TestChatAccess(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "bob", func(a *core.Agent) { a.Shared = true })
	env.agents.Add("agent-2", "bob")
	env.Do(t, "ann", "POST", "/v1/agents/agent-1/chat", `{"message":"hi"}`).Want(200)
	env.Do(t, "eve", "POST", "/v1/agents/agent-1/chat", `{"message":"hi"}`).Want(403)
	env.Do(t, "ann", "POST", "/v1/agents/agent-2/chat", `{"message":"hi"}`).Want(404)
	env.Do(t, "ann", "GET", "/v1/agents/agent-2/chat/history", "").Want(404)
}

// An agent shows its caller no files for which the API key has no scope: neither those that the user has attached to
// the session nor those that an agent has written.
func TestChat_filesOfTheSessionNeedTheirScope(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "ann")
	chatOnly, full := env.AddKey("ann", "chat:write"), env.AddKey("ann", "chat:write", "files:read")
	add := func(session string, role sdk.Role, parts ...sdk.Part) {
		env.messages = append(env.messages, &core.Message{
			ID: "msg-" + session, AgentID: "agent-1", UserID: "user-ann", SessionID: session, Role: role, Parts: parts,
		})
	}
	file := sdk.Part{File: &sdk.File{ID: "file-1", Name: "a.txt"}}
	add("attached", sdk.RoleUser, sdk.Part{Text: "read"}, file)
	add("written", sdk.RoleUser, sdk.Part{Text: "write"})
	add("written", sdk.RoleAssistant, sdk.Part{Text: "done"}, file)
	add("plain", sdk.RoleUser, sdk.Part{Text: "hi"})
	for session, want := range map[string]int{"attached": 403, "written": 403, "plain": 200} {
		body := `{"message":"hi","session_id":"` + session + `"}`
		r := env.Do(t, chatOnly, "POST", "/v1/agents/agent-1/chat", body).Want(want)
		if want == 403 && !strings.Contains(r.Body.String(), "files:read") {
			t.Errorf("session %s: got %s, want that the scope files:read is missing", session, r.Body)
		}
		env.Do(t, full, "POST", "/v1/agents/agent-1/chat", body).Want(200)
		env.Do(t, "ann", "POST", "/v1/agents/agent-1/chat", body).Want(200)
	}
}

// A read deadline that stays on the connection would end the context of a long turn.
func TestChat_clearsReadDeadline(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "ann")
	r := httptest.NewRequestWithContext(t.Context(), "POST",
		"/v1/agents/agent-1/chat", strings.NewReader(`{"message":"hi"}`))
	r.Header.Set("Authorization", "Bearer "+env.Tokens["ann"])
	w := apitest.NewDeadlineWriter()
	env.API.Handler().ServeHTTP(w, r)
	if !w.Set || !w.Last.IsZero() {
		t.Errorf("got read deadline %v at the end, want none", w.Last)
	}
}
