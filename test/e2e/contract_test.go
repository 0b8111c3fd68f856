package e2e_test

import (
	"strings"
	"testing"
)

// The examples of the API reference.
const (
	exampleHealth = `{"status": "healthy", "timestamp": "2025-01-01T00:00:00Z", "version": "1.0.0"}`
	exampleLogin  = `{"access_token": "eyJ0", "token_type": "bearer", "expires_in": 3600,
		"user": {"id": "user-123", "username": "your-username", "email": "user@example.com"}}`
	exampleAgent = `{"id": "agent-789", "name": "my-agent", "description": "Agent description", "type": "chat", "status": "active",
		"created_at": "2025-01-01T00:00:00Z", "updated_at": "2025-01-01T00:00:00Z", "created_by": "user-456",
		"config": {"model": "gpt-4", "temperature": 0.7, "max_tokens": 2000}}`
	exampleAgents = `{"agents": [` + exampleAgent + `], "total": 1, "limit": 20, "offset": 0}`
	exampleChat   = `{"id": "msg-456", "message": "Hello!", "session_id": "session-123", "timestamp": "2025-01-01T00:00:00Z",
		"metadata": {"model": "gpt-4", "tokens_used": 150, "run_id": "run-1"}}`
	exampleHistory = `{"messages": [{"id": "msg-1", "role": "user", "content": "Hello", "session_id": "session-123",
		"timestamp": "2025-01-01T00:00:00Z", "metadata": {}}], "limit": 50}`
	exampleSessions = `{"sessions": [{"id": "s", "agent_id": "a", "messages": 2, "created_at": "2025-01-01T00:00:00Z",
		"updated_at": "2025-01-01T00:00:00Z"}], "total": 1, "limit": 20, "offset": 0}`
	exampleRun = `{"id": "run-1", "kind": "chat", "status": "completed", "agent_id": "a", "user_id": "u", "session_id": "s",
		"input_message_id": "m", "message_id": "m", "model": "echo", "usage": {"input_tokens": 1, "output_tokens": 1}, "attempt": 1,
		"created_at": "2025-01-01T00:00:00Z", "ended_at": "2025-01-01T00:00:00Z"}`
	exampleTypes   = `{"agent_types": [{"type": "chat", "description": "…", "available": true, "config_schema": {"type": "object"}}]}`
	exampleModels  = `{"models": [{"id": "echo", "provider": "echo", "capabilities": []}]}`
	examplePlugins = `{"plugins": [{"kind": "llm", "label": "echo", "version": "1", "state": "running"}]}`
	exampleUser    = `{"id": "u", "username": "u", "email": "e", "role": "admin", "disabled": false, "created_at": "2025-01-01T00:00:00Z"}`
	exampleUsers   = `{"users": [` + exampleUser + `], "total": 1, "limit": 20, "offset": 0}`
)

var agentBody = object{
	"name": "my-agent", "description": "Agent description", "type": "chat",
	"config": object{"model": "echo", "temperature": 0.7, "max_tokens": 2000},
}

// Every path answers as the API reference shows, with and without a trailing slash.
func TestContract(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	credentials := object{"username": "admin", "password": adminPassword}
	made := c.post("/v1/agents/", agentBody).want(t, 201)
	agent := decode[struct{ ID string }](t, made).ID
	if at := made.header.Get("Location"); at != "/v1/agents/"+agent {
		t.Errorf("got Location %q, want the agent", at)
	}
	chat := c.chat(agent, "session-123", "Hello there")
	user := decode[struct{ ID string }](t, c.get("/v1/auth/me").want(t, 200)).ID

	for _, tt := range []struct {
		method, path string
		body         any
		status       int
		example      string
	}{
		{"GET", "/health", nil, 200, exampleHealth},
		{"GET", "/health/ready", nil, 200, exampleHealth},
		{"POST", "/v1/auth/login", credentials, 200, exampleLogin},
		{"POST", "/v1/auth/refresh", nil, 200, exampleLogin},
		{"GET", "/v1/auth/me", nil, 200, exampleUser},
		{"GET", "/v1/agents/", nil, 200, exampleAgents},
		{"GET", "/v1/agents/?limit=1&offset=0&type=chat&status=active", nil, 200, exampleAgents},
		{"POST", "/v1/agents/", agentBody, 201, exampleAgent},
		{"GET", "/v1/agents/" + agent, nil, 200, exampleAgent},
		{"PUT", "/v1/agents/" + agent, agentBody, 200, exampleAgent},
		{"PATCH", "/v1/agents/" + agent, object{"description": "changed"}, 200, exampleAgent},
		{"POST", "/v1/agents/" + agent + "/chat", object{"message": "Hello", "session_id": "session-123", "stream": false}, 200, exampleChat},
		{"GET", "/v1/agents/" + agent + "/chat/history?session_id=session-123&limit=2", nil, 200, exampleHistory},
		{"GET", "/v1/agents/" + agent + "/sessions", nil, 200, exampleSessions},
		{"GET", "/v1/runs/" + chat.Metadata.RunID, nil, 200, exampleRun},
		{"GET", "/v1/agent-types", nil, 200, exampleTypes},
		{"GET", "/v1/models", nil, 200, exampleModels},
		{"GET", "/v1/plugins", nil, 200, examplePlugins},
		{"GET", "/v1/users/", nil, 200, exampleUsers},
		{"GET", "/v1/users/" + user, nil, 200, exampleUser},
	} {
		for _, path := range []string{tt.path, otherSlash(tt.path)} {
			r := c.do(tt.method, path, tt.body)
			if r.status != tt.status {
				t.Errorf("%s %s: got status %d, want %d: %s", tt.method, path, r.status, tt.status, r.body)
				continue
			}
			wantShape(t, tt.example, r.body)
			wantHeaders(t, r)
		}
	}
}

// otherSlash adds a trailing slash to the path, or removes it.
func otherSlash(path string) string {
	path, query, hasQuery := strings.Cut(path, "?")
	if strings.HasSuffix(path, "/") {
		path = strings.TrimSuffix(path, "/")
	} else {
		path += "/"
	}
	if hasQuery {
		path += "?" + query
	}
	return path
}

func wantHeaders(t *testing.T, r *reply) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("got %s %q, want %q", name, got, want)
		}
	}
	if r.header.Get("X-Request-Id") == "" {
		t.Error("the reply has no X-Request-ID")
	}
}

func TestStreamContract(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	agent := c.newAgent("echo")
	stream := c.startTurn(agent, "session-123", "Once upon a")
	end := stream.readAll()
	examples := []string{
		`{"type": "start", "session_id": "session-123", "run_id": "run-1"}`,
		`{"type": "token", "content": "Once"}`,
		`{"type": "token", "content": " upon"}`,
		`{"type": "token", "content": " a"}`,
		`{"type": "end", "message_id": "msg-789", "metadata": {"tokens_used": 245}}`,
	}
	if len(stream.seen) != len(examples) {
		t.Fatalf("got events %+v, want %d", stream.seen, len(examples))
	}
	for i, e := range stream.seen {
		wantShape(t, examples[i], []byte(e.data))
		if e.ID != int64(i+1) {
			t.Errorf("got id %d for event %d", e.ID, i+1)
		}
	}
	if got := messageText(stream.seen); got != "Once upon a" {
		t.Errorf("the tokens are %q, want the message", got)
	}
	if end.Type != "end" || c.history(agent, "session-123")[1].ID != end.MessageID {
		t.Errorf("got last event %s, want end with the message's id", end.data)
	}
	// The server names the session if the client does not.
	r := c.post("/v1/agents/"+agent+"/chat", object{"message": "Hello"}).want(t, 200)
	if id := decode[chatReply](t, r).SessionID; !strings.HasPrefix(id, "session-") {
		t.Errorf("got session %q, want session-…", id)
	}
}

func TestDocs(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.anonymous()
	page := c.get("/docs").want(t, 200)
	if strings.Contains(string(page.body), "//") || page.header.Get("Content-Security-Policy") == "" {
		t.Errorf("the docs page uses other hosts or has no policy: %s", page.body)
	}
	document := decode[struct {
		OpenAPI string         `json:"openapi"`
		Paths   map[string]any `json:"paths"`
	}](t, c.get("/openapi.json").want(t, 200))
	if !strings.HasPrefix(document.OpenAPI, "3.1") || document.Paths["/v1/agents/{agent_id}/chat"] == nil {
		t.Errorf("got OpenAPI %s with %d paths, want 3.1 with the chat", document.OpenAPI, len(document.Paths))
	}
}
