package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
)

const goodAgent = `{"name":"a","type":"chat","config":{"model":"gpt-4"}}`

func TestBadInput(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addAgent("agent-1", "ann")
	b.addAgent("agent-off", "ann", func(a *core.Agent) { a.Status = core.AgentInactive })
	agents, chat := "/v1/agents/", "/v1/agents/agent-1/chat"
	for name, c := range map[string]struct {
		method, path, body string
		header             string
		status             int
		field, issue       string
	}{
		"bad JSON":             {"POST", agents, `{"name":`, "", 400, "body", "Must be valid JSON; line 1, column"},
		"JSON with a tail":     {"POST", agents, goodAgent + `{}`, "", 400, "body", "Must be valid JSON"},
		"no body":              {"POST", agents, ``, "", 400, "body", "Body is required"},
		"null":                 {"POST", agents, `null`, "", 400, "body", "Must be an object"},
		"array":                {"POST", agents, `[]`, "", 400, "body", "Must be an object"},
		"missing name":         {"POST", agents, `{"type":"chat","config":{"model":"gpt-4"}}`, "", 400, "name", "Field is required"},
		"missing type":         {"POST", agents, `{"name":"a"}`, "", 400, "type", "Field is required"},
		"null name":            {"POST", agents, `{"name":null,"type":"chat"}`, "", 400, "name", "Must be a string"},
		"empty name":           {"POST", agents, `{"name":"","type":"chat"}`, "", 400, "name", "Must not be empty"},
		"blank name":           {"POST", agents, `{"name":" \t","type":"chat"}`, "", 400, "name", "Must not be empty"},
		"long name":            {"POST", agents, `{"name":"` + strings.Repeat("a", 129) + `","type":"chat"}`, "", 400, "name", "at most 128"},
		"wrong type":           {"POST", agents, `{"name":7,"type":"chat"}`, "", 400, "name", "Must be a string"},
		"unknown field":        {"POST", agents, `{"name":"a","type":"chat","colour":1}`, "", 400, "colour", "Unknown field: there are config, description, name, shared, status, type"},
		"field in other case":  {"POST", agents, `{"NAME":"a","name":"a","type":"chat"}`, "", 400, "NAME", "Unknown field"},
		"read-only field":      {"POST", agents, `{"id":"agent-1","name":"a","type":"chat"}`, "", 400, "id", "Unknown field"},
		"unknown status":       {"POST", agents, `{"name":"a","type":"chat","status":"asleep"}`, "", 400, "status", "Must be one of: active, inactive"},
		"unknown type":         {"POST", agents, `{"name":"a","type":"chta","config":{"model":"gpt-4"}}`, "", 400, "type", `There is no agent type "chta"; there are: chat, down, odd`},
		"unknown model":        {"POST", agents, `{"name":"a","type":"chat","config":{"model":"gpt-5"}}`, "", 400, "config.model", `There is no model "gpt-5"; there are: gpt-4`},
		"config is a list":     {"POST", agents, `{"name":"a","type":"chat","config":[]}`, "", 400, "config", "Must be an object"},
		"no model":             {"POST", agents, `{"name":"a","type":"chat"}`, "", 400, "config.model", "Field is required"},
		"hot":                  {"POST", agents, `{"name":"a","type":"chat","config":{"model":"gpt-4","temperature":2.5}}`, "", 400, "config.temperature", "Must be at most 2"},
		"temperature in words": {"POST", agents, `{"name":"a","type":"chat","config":{"model":"gpt-4","temperature":"hot"}}`, "", 400, "config.temperature", "Must be a number"},
		"part of a token":      {"POST", agents, `{"name":"a","type":"chat","config":{"model":"gpt-4","max_tokens":1.5}}`, "", 400, "config.max_tokens", "Must be an integer"},
		"bad item":             {"POST", agents, `{"name":"a","type":"chat","config":{"model":"gpt-4","stop":["a",1]}}`, "", 400, "config.stop.1", "Must be a string"},
		"unknown config field": {"POST", agents, `{"name":"a","type":"chat","config":{"model":"gpt-4","temprature":1}}`, "", 400, "config.temprature", "Unknown field: there are extra, max_tokens, model, seed, stop, system_prompt, temperature"},
		"type is down":         {"POST", agents, `{"name":"a","type":"down"}`, "", 503, "", ""},
		"type has no schema":   {"POST", agents, `{"name":"a","type":"odd"}`, "", 503, "", ""},
		"NUL in a name":        {"POST", agents, `{"name":"a\u0000b","type":"chat"}`, "", 400, "name", "NUL"},
		"NUL deep in a config": {"POST", agents, `{"name":"a","type":"chat","config":{"model":"gpt-4","extra":{"a":["x","\u0000"]}}}`, "", 400, "config.extra.a[1]", "NUL"},
		"NUL in a field name":  {"POST", agents, `{"name":"a","type":"chat","config":{"a\u0000":1}}`, "", 400, "config", "NUL"},
		"bare NUL":             {"POST", agents, "{\"name\":\"a\x00\"}", "", 400, "body", "Must be valid JSON"},
		"broken UTF-8":         {"POST", agents, "{\"name\":\"\xff\",\"type\":\"chat\"}", "", 400, "body", "UTF-8"},
		"too long":             {"POST", agents, `{"name":"` + strings.Repeat("a", 1<<20) + `"}`, "", 413, "", ""},
		"too deep":             {"POST", agents, `{"name":"a","type":"chat","config":` + strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 71), "", 413, "", ""},
		"form":                 {"POST", agents, `name=a`, "Content-Type: application/x-www-form-urlencoded", 415, "", ""},
		"packed":               {"POST", agents, goodAgent, "Content-Encoding: gzip", 415, "", ""},
		"bad limit":            {"GET", agents + "?limit=many", "", "", 400, "limit", "Must be an integer"},
		"limit of none":        {"GET", agents + "?limit=0", "", "", 400, "limit", "Must be at least 1"},
		"limit of many":        {"GET", agents + "?limit=101", "", "", 400, "limit", "Must be at most 100"},
		"huge limit":           {"GET", agents + "?limit=99999999999999999999", "", "", 400, "limit", "Must be an integer"},
		"bad offset":           {"GET", agents + "?offset=-1", "", "", 400, "offset", "Must be at least 0"},
		"unknown filter":       {"GET", agents + "?status=asleep", "", "", 400, "status", "Must be one of: active, inactive, error"},
		"NUL in a query":       {"GET", agents + "?type=a%00", "", "", 400, "type", "NUL"},
		"NUL in a path":        {"GET", agents + "a%00b", "", "", 400, "agent_id", "NUL"},
		"broken UTF-8 in path": {"GET", agents + "a%ffb", "", "", 400, "agent_id", "UTF-8"},
		"unknown route":        {"GET", "/v1/agent", "", "", 404, "", ""},
		"unknown agent":        {"GET", agents + "agent-0", "", "", 404, "", ""},
		"slash in an id":       {"GET", agents + "agent%2F1", "", "", 404, "", ""},
		"wrong method":         {"PUT", agents, goodAgent, "", 405, "", ""},
		"no message":           {"POST", chat, `{}`, "", 400, "message", "Field is required"},
		"empty message":        {"POST", chat, `{"message":""}`, "", 400, "message", "Must not be empty"},
		"blank message":        {"POST", chat, `{"message":" \n "}`, "", 400, "message", "Must not be empty"},
		"message is a list":    {"POST", chat, `{"message":["a"]}`, "", 400, "message", "Must be a string"},
		"files in lists":       {"POST", chat, `{"message":"a","file_ids":[["file-1"],{}]}`, "", 400, "file_ids[0]", "Must be a string"},
		"stream in words":      {"POST", chat, `{"message":"a","stream":"yes"}`, "", 400, "stream", "Must be true or false"},
		"session by a bad id":  {"POST", chat, `{"message":"a","session_id":"a b"}`, "", 400, "session_id", "Must be 1 to 128 of"},
		"session of no id":     {"POST", chat, `{"message":"a","session_id":""}`, "", 400, "session_id", "Must be 1 to 128 of"},
		"session is busy":      {"POST", chat, `{"message":"a","session_id":"busy"}`, "", 409, "", ""},
		"inactive agent":       {"POST", "/v1/agents/agent-off/chat", `{"message":"a"}`, "", 409, "", ""},
		"chat with nobody":     {"POST", "/v1/agents/agent-0/chat", `{"message":"a"}`, "", 404, "", ""},
		"history before when":  {"GET", chat + "/history?before=yesterday", "", "", 400, "before", "Must be a time, like"},
		"history of many":      {"GET", chat + "/history?limit=1000", "", "", 400, "limit", "Must be at most 100"},
		"history of another":   {"GET", chat + "/history?user_id=user-bob", "", "", 403, "", ""},
		"sessions of another":  {"GET", agents + "agent-1/sessions?user_id=user-bob", "", "", 403, "", ""},
		"unknown session":      {"DELETE", agents + "agent-1/sessions/none", "", "", 404, "", ""},
		"events after what":    {"GET", "/v1/runs/run-1/events", "", "Last-Event-ID: last", 400, "Last-Event-ID", "id of an event"},
		"events after less":    {"GET", "/v1/runs/run-1/events?after=-1", "", "", 400, "after", "Must be at least 0"},
		"unknown run":          {"GET", "/v1/runs/run-1", "", "", 404, "", ""},
		"patch to no name":     {"PATCH", agents + "agent-1", `{"name":null}`, "", 400, "name", "Field is required"},
		"patch to empty name":  {"PATCH", agents + "agent-1", `{"name":""}`, "", 400, "name", "Must not be empty"},
		"patch by a list":      {"PATCH", agents + "agent-1", `[]`, "", 400, "body", "Must be an object"},
		"patch of what is not": {"PATCH", agents + "agent-1", `{"colour":1}`, "", 400, "colour", "Unknown field"},
		"patch of the config":  {"PATCH", agents + "agent-1", `{"config":{"temperature":3}}`, "", 400, "config.temperature", "Must be at most 2"},
		"stale If-Match":       {"PUT", agents + "agent-1", goodAgent, `If-Match: "v7"`, 412, "", ""},
		"weak If-Match":        {"PATCH", agents + "agent-1", `{}`, `If-Match: W/"v1"`, 412, "", ""},
		"delete of stale":      {"DELETE", agents + "agent-1", "", `If-Match: "v7"`, 412, "", ""},
		"login with nothing":   {"POST", "/v1/auth/login", `{}`, "", 400, "password", "Field is required"},
		"users as a member":    {"GET", "/v1/users/", "", "", 403, "", ""},
		"plugins as a member":  {"GET", "/v1/plugins", "", "", 403, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if c.header != "" {
				headers = append(headers, c.header)
			}
			a := b.do(t, "ann", c.method, c.path, c.body, headers...).want(c.status)
			f := a.failure()
			if statuses[f.Code] != c.status {
				t.Errorf("code %s with status %d", f.Code, c.status)
			}
			if f.Details.Field != c.field || !strings.Contains(f.Details.Issue, c.issue) {
				t.Errorf("got %+v", f.Details)
			}
			if f.RequestID == "" || f.RequestID != a.Header().Get("X-Request-ID") {
				t.Errorf("request_id %q, header %q", f.RequestID, a.Header().Get("X-Request-ID"))
			}
			if ct := a.Header().Get("Content-Type"); ct != "application/json" {
				t.Errorf("it is sent as %s", ct)
			}
		})
	}
}

func TestSeveralMistakesAreAllNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for body, want := range map[string]string{
		`{"description":7,"zeta":1,"alpha":2}`:                                  "description name type alpha zeta",
		`{"name":"a","type":"chat","config":{"temperature":-1,"max_tokens":0}}`: "config.max_tokens config.model config.temperature",
	} {
		f := b.do(t, "ann", "POST", "/v1/agents/", body).want(400).failure()
		var got []string
		for _, e := range f.Details.Errors {
			got = append(got, e.Field)
		}
		if g := strings.Join(got, " "); sorted(g) != sorted(want) || f.Details.Field != got[0] {
			t.Errorf("got %s, want %s", g, want)
		}
	}
}

func sorted(words string) string {
	w := strings.Fields(words)
	for i := range w {
		for j := i + 1; j < len(w); j++ {
			if w[j] < w[i] {
				w[i], w[j] = w[j], w[i]
			}
		}
	}
	return strings.Join(w, " ")
}

func TestTheContractsError(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := b.do(t, "ann", "POST", "/v1/agents/", `{"type":"chat","config":{"model":"gpt-4"}}`, "X-Request-ID: req-123").want(400)
	want := `{"error":{"code":"VALIDATION_ERROR","message":"Invalid request data","details":{"field":"name","issue":"Field is required"},"request_id":"req-123"}}`
	if got := strings.TrimSpace(a.Body.String()); got != want {
		t.Errorf("got %s", got)
	}
}

func TestRequestIDsThatCouldForgeALogLineAreReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, id := range []string{"a b", "a\r\nlevel=ERROR", strings.Repeat("a", 65), "ü"} {
		if got := b.do(t, "", "GET", "/health", "", "X-Request-ID: "+id).Header().Get("X-Request-ID"); !strings.HasPrefix(got, "req-") {
			t.Errorf("%q became %q", id, got)
		}
	}
}

func TestWrongMethodSaysWhichAreRight(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for path, want := range map[string]string{
		"/v1/agents":         "GET, HEAD, POST",
		"/v1/agents/agent-1": "GET, HEAD, PUT, PATCH, DELETE",
		"/docs":              "GET, HEAD",
		"/v1/auth/login":     "POST",
	} {
		a := b.do(t, "", "OPTIONS", path, "").want(405)
		if got := a.Header().Get("Allow"); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestInnerErrorsAreLoggedAndNeverShown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
	}{
		"unknown":              {errBoom, 500},
		"wrapped":              {fmt.Errorf("agents: %w", errBoom), 500},
		"internal with words":  {&core.Error{Code: core.CodeInternal, Message: errBoom.Error()}, 500},
		"of no code":           {&core.Error{Message: errBoom.Error()}, 500},
		"with a private cause": {&core.Error{Code: core.CodeUnavailable, Message: "The database is down", Err: errBoom}, 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.fail = c.err
			a := b.do(t, "ann", "GET", "/v1/agents/", "", "X-Request-ID: req-7").want(c.status)
			if strings.Contains(a.Body.String(), "10.0.0.7") {
				t.Errorf("it shows %s", a.Body)
			}
			if c.status == 500 && a.failure().Message != "Internal server error" {
				t.Errorf("it says %s", a.Body)
			}
			if l := b.log.String(); !strings.Contains(l, "10.0.0.7") || !strings.Contains(l, "request_id=req-7") {
				t.Errorf("the log says %s", l)
			}
		})
	}
}

func TestAPanicIsA500(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) { o.Agents = nil })
	f := b.do(t, "ann", "GET", "/v1/agents/", "").want(500).failure()
	if f.Code != core.CodeInternal || !strings.Contains(b.log.String(), "panic in a handler") {
		t.Errorf("got %+v, and in the log %s", f, b.log.String())
	}
}

func TestEveryCodeHasItsStatus(t *testing.T) {
	t.Parallel()
	for code, status := range map[core.Code]int{
		"VALIDATION_ERROR": 400, "UNAUTHORIZED": 401, "FORBIDDEN": 403, "NOT_FOUND": 404, "METHOD_NOT_ALLOWED": 405,
		"CONFLICT": 409, "PRECONDITION_FAILED": 412, "PAYLOAD_TOO_LARGE": 413, "UNSUPPORTED_MEDIA_TYPE": 415, "RATE_LIMITED": 429,
		"INTERNAL_ERROR": 500, "UPSTREAM_ERROR": 502, "SERVICE_UNAVAILABLE": 503, "UPSTREAM_TIMEOUT": 504,
		"INSUFFICIENT_STORAGE": 507,
	} {
		if got := NewErrorReply(&core.Error{Code: code}, "").status; got != status {
			t.Errorf("%s is %d", code, got)
		}
	}
	if e := NewErrorReply(&http.MaxBytesError{Limit: 7}, ""); e.status != 413 {
		t.Errorf("a long body is %d", e.status)
	}
	var asJSON ErrorReply
	if err := json.Unmarshal([]byte(`{"error":{"code":"X"}}`), &asJSON); err != nil || errors.Unwrap(&asJSON) != nil {
		t.Error(err)
	}
}
