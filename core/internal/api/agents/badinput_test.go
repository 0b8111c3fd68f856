package agents

import (
	"fmt"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

const goodAgent = `{"name":"a","type":"chat","config":{"model":"gpt-4"}}`

func TestBadInput(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "ann")
	env.agents.Add("agent-off", "ann", func(a *core.Agent) { a.Status = core.AgentInactive })
	agents := "/v1/agents/"
	for name, c := range map[string]struct {
		method, path, body string
		header             string
		status             int
		field, issue       string
	}{
		"bad JSON":             {"POST", agents, `{"name":`, "", 400, "body", "Must be valid JSON. Line 1, column"},
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
		"unknown field":        {"POST", agents, `{"name":"a","type":"chat","colour":1}`, "", 400, "colour", "Unknown field \"colour\". Known fields: config, description, name, shared, status, type"},
		"field in other case":  {"POST", agents, `{"NAME":"a","name":"a","type":"chat"}`, "", 400, "NAME", "Unknown field"},
		"read-only field":      {"POST", agents, `{"id":"agent-1","name":"a","type":"chat"}`, "", 400, "id", "Unknown field"},
		"unknown status":       {"POST", agents, `{"name":"a","type":"chat","status":"asleep"}`, "", 400, "status", "Must be one of: active, inactive"},
		"unknown type":         {"POST", agents, `{"name":"a","type":"chta","config":{"model":"gpt-4"}}`, "", 400, "type", `Agent type "chta" does not exist. Agent types: chat, down, odd`},
		"config is a list":     {"POST", agents, `{"name":"a","type":"chat","config":[]}`, "", 400, "config", "Must be an object"},
		"hot":                  {"POST", agents, `{"name":"a","type":"chat","config":{"model":"gpt-4","temperature":2.5}}`, "", 400, "config.temperature", "Must be at most 2"},
		"huge exponent":        {"POST", agents, `{"name":"a","type":"chat","config":{"model":"gpt-4","tools":[1e-999999,1e-999998]}}`, "", 400, "config.tools[0]", "exponent from -308 to 308"},
		"type is down":         {"POST", agents, `{"name":"a","type":"down"}`, "", 503, "", ""},
		"NUL in a name":        {"POST", agents, `{"name":"a\u0000b","type":"chat"}`, "", 400, "name", "NUL"},
		"NUL deep in a config": {"POST", agents, `{"name":"a","type":"chat","config":{"model":"gpt-4","extra":{"a":["x","\u0000"]}}}`, "", 400, "config.extra.a[1]", "NUL"},
		"NUL in a field name":  {"POST", agents, `{"name":"a","type":"chat","config":{"a\u0000":1}}`, "", 400, "config", "NUL"},
		"bare NUL":             {"POST", agents, "{\"name\":\"a\x00\"}", "", 400, "body", "Must be valid JSON"},
		"broken UTF-8":         {"POST", agents, "{\"name\":\"\xff\",\"type\":\"chat\"}", "", 400, "body", "UTF-8"},
		"too long":             {"POST", agents, `{"name":"` + strings.Repeat("a", 1<<20) + `"}`, "", 413, "body", "exceeds the limit"},
		"too deep":             {"POST", agents, `{"name":"a","type":"chat","config":` + strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 71), "", 413, "body", "nests deeper"},
		"form":                 {"POST", agents, `name=a`, "Content-Type: application/x-www-form-urlencoded", 415, "Content-Type", "Send application/json"},
		"compressed":           {"POST", agents, goodAgent, "Content-Encoding: gzip", 415, "Content-Encoding", "Send the body without it"},
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
		"unknown agent":        {"GET", agents + "agent-0", "", "", 404, "agent_id", "not found"},
		"slash in an id":       {"GET", agents + "agent%2F1", "", "", 404, "agent_id", "not found"},
		"wrong method":         {"PUT", agents, goodAgent, "", 405, "", ""},
		"patch to no name":     {"PATCH", agents + "agent-1", `{"name":null}`, "", 400, "name", "Field is required"},
		"patch to empty name":  {"PATCH", agents + "agent-1", `{"name":""}`, "", 400, "name", "Must not be empty"},
		"patch by a list":      {"PATCH", agents + "agent-1", `[]`, "", 400, "body", "Must be an object"},
		"patch of what is not": {"PATCH", agents + "agent-1", `{"colour":1}`, "", 400, "colour", "Unknown field"},
		"patch of the config":  {"PATCH", agents + "agent-1", `{"config":{"temperature":3}}`, "", 400, "config.temperature", "Must be at most 2"},
		"stale If-Match":       {"PUT", agents + "agent-1", goodAgent, `If-Match: "v7"`, 412, "If-Match", "has changed"},
		"weak If-Match":        {"PATCH", agents + "agent-1", `{}`, `If-Match: W/"v1"`, 412, "If-Match", "has changed"},
		"delete of stale":      {"DELETE", agents + "agent-1", "", `If-Match: "v7"`, 412, "If-Match", "has changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if c.header != "" {
				headers = append(headers, c.header)
			}
			a := env.Do(t, "ann", c.method, c.path, c.body, headers...).Want(c.status)
			f := a.Failure()
			if got := api.NewErrorReply(&core.Error{Code: f.Code}, "").GetStatus(); got != c.status {
				t.Errorf("got code %s with status %d, want %d", f.Code, c.status, got)
			}
			if f.Details.Field != c.field || !strings.Contains(f.Details.Issue, c.issue) {
				t.Errorf("got %+v", f.Details)
			}
			if f.RequestID == "" || f.RequestID != a.Header().Get("X-Request-ID") {
				t.Errorf("got request_id %q, X-Request-ID %q", f.RequestID, a.Header().Get("X-Request-ID"))
			}
			if ct := a.Header().Get("Content-Type"); ct != "application/json" {
				t.Errorf("got Content-Type %s", ct)
			}
		})
	}
}

func TestInvalidFieldsAreAllNamed(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	for body, want := range map[string]string{
		`{"description":7,"zeta":1,"alpha":2}`:                                  "description name type alpha zeta",
		`{"name":"a","type":"chat","config":{"temperature":-1,"max_tokens":0}}`: "config.max_tokens config.model config.temperature",
	} {
		f := env.Do(t, "ann", "POST", "/v1/agents/", body).Want(400).Failure()
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

func TestError(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	a := env.Do(t, "ann", "POST", "/v1/agents/", `{"type":"chat","config":{"model":"gpt-4"}}`,
		"X-Request-ID: req-123").Want(400)
	want := `{"error":{"code":"VALIDATION_ERROR","message":"Invalid request data","details":{"field":"name","issue":"Field is required"},"request_id":"req-123"}}`
	if got := strings.TrimSpace(a.Body.String()); got != want {
		t.Errorf("got %s", got)
	}
}

func TestPrivateErrorsAreOnlyLogged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
	}{
		"unknown":              {apitest.ErrPrivate, 500},
		"wrapped":              {fmt.Errorf("agents: %w", apitest.ErrPrivate), 500},
		"internal with words":  {&core.Error{Code: core.CodeInternal, Message: apitest.ErrPrivate.Error()}, 500},
		"of no code":           {&core.Error{Message: apitest.ErrPrivate.Error()}, 500},
		"with a private cause": {&core.Error{Code: core.CodeUnavailable, Message: "The database is down", Err: apitest.ErrPrivate}, 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			env.err = c.err
			a := env.Do(t, "ann", "GET", "/v1/agents/", "", "X-Request-ID: req-7").Want(c.status)
			if strings.Contains(a.Body.String(), "10.0.0.7") {
				t.Errorf("got %s, want no private text", a.Body)
			}
			if c.status == 500 && a.Failure().Message != "Internal server error" {
				t.Errorf("got %s", a.Body)
			}
			if l := env.Log(); !strings.Contains(l, "10.0.0.7") || !strings.Contains(l, "request_id=req-7") {
				t.Errorf("got log %s", l)
			}
		})
	}
}

func TestPanicIsAnswered500(t *testing.T) {
	t.Parallel()
	env := &testEnv{Server: apitest.New(t)}
	Register(env.API, nil)
	f := env.Do(t, "ann", "GET", "/v1/agents/", "").Want(500).Failure()
	if f.Code != core.CodeInternal || !strings.Contains(env.Log(), "recovered from a panic") {
		t.Errorf("got %+v, and in the log %s", f, env.Log())
	}
}
