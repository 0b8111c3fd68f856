package e2e_test

import (
	"strings"
	"testing"
)

// The error of an invalid request names the field and the remedy.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	agent := c.newAgent("echo")
	chat, agents, run := "/v1/agents/"+agent+"/chat", "/v1/agents/", c.chat(agent, "s", "Hello").Metadata.RunID
	valid := `{"name":"a","type":"chat","config":{"model":"echo"}}`
	for _, tt := range []struct {
		name, method, path string
		body               any
		status             int
		code, field, issue string
	}{
		{"bad JSON", "POST", agents, `{"name": "a",}`, 400, "VALIDATION_ERROR", "body", "Line 1, column 14"},
		{"no JSON", "POST", agents, `name=a`, 400, "VALIDATION_ERROR", "body", "valid JSON"},
		{"no body", "POST", agents, nil, 400, "VALIDATION_ERROR", "body", "required"},
		{"no object", "POST", agents, `[1]`, 400, "VALIDATION_ERROR", "body", "object"},
		{"unknown field", "POST", agents, `{"name":"a","type":"chat","colour":"red"}`, 400, "VALIDATION_ERROR", "colour", `Unknown field "colour". Known fields: config, description, name`},
		{"missing field", "POST", agents, `{"type":"chat","config":{"model":"echo"}}`, 400, "VALIDATION_ERROR", "name", "Field is required"},
		{"wrong type", "POST", agents, `{"name":5,"type":"chat"}`, 400, "VALIDATION_ERROR", "name", "Must be a string"},
		{"null", "POST", agents, `{"name":null,"type":"chat"}`, 400, "VALIDATION_ERROR", "name", "string"},
		{"empty name", "POST", agents, `{"name":"  ","type":"chat"}`, 400, "VALIDATION_ERROR", "name", "Must not be empty"},
		{"long name", "POST", agents, object{"name": strings.Repeat("a", 129), "type": "chat"}, 400, "VALIDATION_ERROR", "name", "at most 128"},
		{"unknown agent type", "POST", agents, `{"name":"a","type":"chatt"}`, 400, "VALIDATION_ERROR", "type", "Agent types: chat"},
		{"unknown model", "POST", agents, `{"name":"a","type":"chat","config":{"model":"gpt-99"}}`, 400, "VALIDATION_ERROR", "config.model", "echo/echo"},
		{"disabled provider", "POST", agents, `{"name":"a","type":"chat","config":{"model":"openai/gpt-4"}}`, 400, "VALIDATION_ERROR", "config.model", "To enable OpenAI, start the server with OPENAI_API_KEY."},
		{
			"model of the API reference", "POST", agents, `{"name":"test-agent","type":"chat","config":{"model":"gpt-4"}}`, 400,
			"VALIDATION_ERROR", "config.model",
			`Model "gpt-4" is not available. Available models: echo/echo. To enable OpenAI, start the server with OPENAI_API_KEY.`,
		},
		{"no model", "POST", agents, `{"name":"a","type":"chat","config":{}}`, 400, "VALIDATION_ERROR", "config.model", "Field is required"},
		{"config's field", "POST", agents, `{"name":"a","type":"chat","config":{"model":"echo","temperature":9}}`, 400, "VALIDATION_ERROR", "config.temperature", "at most 2"},
		{"config's unknown field", "POST", agents, `{"name":"a","type":"chat","config":{"model":"echo","temprature":1}}`, 400, "VALIDATION_ERROR", "config.temprature", "temperature"},
		{"status", "POST", agents, `{"name":"a","type":"chat","status":"asleep"}`, 400, "VALIDATION_ERROR", "status", "active, inactive"},
		{"NUL", "POST", agents, `{"name":"a\u0000b","type":"chat"}`, 400, "VALIDATION_ERROR", "name", "NUL"},
		{"NUL in a config", "POST", agents, `{"name":"a","type":"chat","config":{"model":"echo","system_prompt":"\u0000"}}`, 400, "VALIDATION_ERROR", "config.system_prompt", "NUL"},
		{"NUL in a path", "GET", agents + "a%00b", nil, 400, "VALIDATION_ERROR", "agent_id", "NUL"},
		{"not UTF-8", "POST", agents, "{\"name\":\"a\xff\",\"type\":\"chat\"}", 400, "VALIDATION_ERROR", "body", "UTF-8"},
		{"deep", "POST", agents, strings.Repeat("[", 100) + strings.Repeat("]", 100), 413, "PAYLOAD_TOO_LARGE", "body", ""},
		{"over 1 MiB", "POST", chat, object{"message": strings.Repeat("a", 1<<20)}, 413, "PAYLOAD_TOO_LARGE", "body", ""},
		{"unknown parameter", "GET", agents + "?lmit=5", nil, 400, "VALIDATION_ERROR", "lmit", `Did you mean "limit"? Known parameters: cursor, limit, `},
		{"parameter of no endpoint", "POST", agents + "?dry_run=true", valid, 400, "VALIDATION_ERROR", "dry_run", "This endpoint has no query parameters"},
		{"limit 0", "GET", agents + "?limit=0", nil, 400, "VALIDATION_ERROR", "limit", "at least 1"},
		{"limit 101", "GET", agents + "?limit=101", nil, 400, "VALIDATION_ERROR", "limit", "at most 100"},
		{"limit word", "GET", agents + "?limit=ten", nil, 400, "VALIDATION_ERROR", "limit", "Must be an integer"},
		{"offset", "GET", agents + "?offset=-1", nil, 400, "VALIDATION_ERROR", "offset", "at least 0"},
		{"status filter", "GET", agents + "?status=asleep", nil, 400, "VALIDATION_ERROR", "status", "active, inactive, error"},
		{"before", "GET", chat + "/history?before=yesterday", nil, 400, "VALIDATION_ERROR", "before", "2026-11-30T12:00:00Z"},
		{"empty message", "POST", chat, `{"message":""}`, 400, "VALIDATION_ERROR", "message", "Must not be empty"},
		{"session", "POST", chat, `{"message":"a","session_id":"a\tb"}`, 400, "VALIDATION_ERROR", "session_id", "only printable characters"},
		{"stream", "POST", chat, `{"message":"a","stream":"yes"}`, 400, "VALIDATION_ERROR", "stream", "true or false"},
		{"Last-Event-ID", "GET", "/v1/runs/" + run + "/events?after=x", nil, 400, "VALIDATION_ERROR", "after", "integer"},
		{"email", "POST", "/v1/users/", `{"username":"x","email":"x","password":"a long password"}`, 400, "VALIDATION_ERROR", "email", "name@example.com"},
		{"password", "POST", "/v1/users/", `{"username":"x","email":"x@example.com","password":"short"}`, 400, "VALIDATION_ERROR", "password", "at least 8"},
		{"role", "POST", "/v1/users/", `{"username":"x","email":"x@example.com","password":"a long password","role":"king"}`, 400, "VALIDATION_ERROR", "role", "admin, member, viewer"},
		{"unknown route", "GET", "/v1/agentz", nil, 404, "NOT_FOUND", "", ""},
		{"no such agent", "GET", agents + "agent-0", nil, 404, "NOT_FOUND", "agent_id", `agent "agent-0" not found`},
		{"no such run", "GET", "/v1/runs/run-0", nil, 404, "NOT_FOUND", "run_id", "not found"},
		{"no such session", "DELETE", agents + agent + "/sessions/none", nil, 404, "NOT_FOUND", "session_id", "not found"},
		{"wrong method", "DELETE", agents, nil, 405, "METHOD_NOT_ALLOWED", "", ""},
		{"ended run", "POST", "/v1/runs/" + run + "/cancel", nil, 409, "CONFLICT", "run_id", "has already ended"},
		{"fine", "POST", agents, valid, 201, "", "", ""},
	} {
		r := c.do(tt.method, tt.path, tt.body)
		if r.status != tt.status {
			t.Errorf("%s: got status %d, want %d: %s", tt.name, r.status, tt.status, r.body)
			continue
		}
		wantHeaders(t, r)
		if tt.status < 400 {
			continue
		}
		f := r.failure(t)
		if f.Code != tt.code || f.Message == "" || f.Details.Field != tt.field ||
			!strings.Contains(f.Details.Issue, tt.issue) {
			t.Errorf("%s: got %s, want code %s, field %q and %q", tt.name, r.body, tt.code, tt.field, tt.issue)
		}
		if f.RequestID == "" || f.RequestID != r.header.Get("X-Request-Id") {
			t.Errorf("%s: got request_id %q, but header %q", tt.name, f.RequestID, r.header.Get("X-Request-Id"))
		}
	}
	// The error lists both faults.
	both := c.post(agents, `{"name":"","type":5}`).want(t, 400)
	if !strings.Contains(string(both.body), `"errors":[{"field":"name"`) {
		t.Errorf("got %s, want both errors", both.body)
	}
	if allow := c.do("PUT", agents, valid).want(t, 405).header.Get("Allow"); allow != "GET, HEAD, POST" {
		t.Errorf("got Allow %q, want GET, HEAD, POST", allow)
	}
	c.do("POST", agents, valid, "Content-Type: text/plain").want(t, 415)
}

// The size limit also holds for bodies without a Content-Length.
func TestChunkedBody(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	for size, want := range map[int]int{1<<20 - 100: 400, 1 << 20: 413, 4 << 20: 413} {
		if got := c.chunked("/v1/agents/", `{"name":"`, size); got != want {
			t.Errorf("%d bytes: got status %d, want %d", size, got, want)
		}
	}
	c.newAgent("echo")
}
