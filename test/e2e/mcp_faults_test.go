package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/test/openaitest"
)

// sessionServer is an MCP server at a URL with sessions that it forgets like a server that was restarted. It has
// one tool, whose result has a block of an unknown type.
type sessionServer struct {
	mu sync.Mutex
	// refusal is the status of requests of an unknown session.
	refusal  int
	sessions int
	current  string
	calls    int
}

// restart makes the server forget its session and refuse it with a status.
func (s *sessionServer) restart(refusal int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.refusal = "", refusal
}

// counts returns the numbers of sessions and of calls of the tool.
func (s *sessionServer) counts() (sessions, calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions, s.calls
}

func (s *sessionServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct {
		ID     json.RawMessage
		Method string
	}
	if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&request) != nil {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	result := `{}`
	switch {
	case request.Method == "server/discover":
		w.WriteHeader(http.StatusBadRequest)
		return
	case request.Method == "initialize":
		s.sessions++
		s.current = fmt.Sprintf("session-%d", s.sessions)
		w.Header().Set("Mcp-Session-Id", s.current)
		result = `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"calc","version":"1"}}`
	case r.Header.Get("Mcp-Session-Id") != s.current:
		w.WriteHeader(s.refusal)
		_, _ = fmt.Fprint(w, "unknown session")
		return
	case request.ID == nil:
		w.WriteHeader(http.StatusAccepted)
		return
	case request.Method == "tools/list":
		result = `{"tools":[{"name":"add","inputSchema":{"type":"object"}}]}`
	case request.Method == "tools/call":
		s.calls++
		result = `{"content":[{"type":"text","text":"ok"},{"type":"hologram","data":1}]}`
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, request.ID, result)
}

// An MCP server at a URL that was restarted refuses its session. The call is executed once in a new session, and a
// block of an unknown type becomes a text that names it.
func TestMCPServerRefusesItsSession(t *testing.T) {
	t.Parallel()
	base := upstream(t, openaitest.Options{Answer: func(r *openaitest.Request) openaitest.Reply {
		last := r.Messages[len(r.Messages)-1]
		switch {
		case last.Role == "tool":
			return openaitest.Text("Result: " + last.Text())
		case len(r.Tools) == 0:
			return openaitest.Text("No tools.")
		}
		return openaitest.Tools(toolCall(1, "calc__add", `{}`))
	}})
	calc := &sessionServer{}
	up := httptest.NewServer(calc)
	t.Cleanup(up.Close)
	s := start(t, pluginsHCL(base)+`
plugin "mcp" "http" {
  command = "mcp-http"
  config {
    allow = ["127.0.0.1"]
  }
}
`)
	c := s.signIn()
	server := c.newMCPServer("calc", object{"url": up.URL})
	c.waitMCPServer(server.ID, "the MCP server to run", running)
	agent := decode[struct{ ID string }](t, c.post("/v1/agents/", object{
		"name": "a", "type": "chat", "config": object{"model": "gpt-4o", "mcp_servers": []string{"calc"}},
	}).want(t, 201)).ID
	const want = "Result: ok\n[content of the unknown type \"hologram\" omitted]"
	for i, refusal := range []int{404, 400, 404} {
		calc.restart(refusal)
		if reply := c.chat(agent, fmt.Sprint("s-", i), "Add"); reply.Message != want {
			t.Errorf("after a restart, refused with %d: got answer %q, want %q", refusal, reply.Message, want)
		}
		if sessions, calls := calc.counts(); sessions != i+2 || calls != i+1 {
			t.Errorf("the server has had %d sessions and %d calls, want %d and %d", sessions, calls, i+2, i+1)
		}
	}
	if got := c.mcpServer(server.ID); got.Status != "running" || got.Restarts != 0 {
		t.Errorf("got server %+v, want it running without a restart", got)
	}
}

// Every path of the gateway answers errors in the format of the API, for every method, and none redirects.
func TestGatewayErrors(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	server := c.newMCPServer("gateway-errors", object{"command": "true"})
	c.post("/v1/mcp-servers/"+server.ID+"/stop", nil).want(t, 200)
	anonymous := s.anonymous()
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"} {
		for path, status := range map[string]int{
			"/mcp": 404, "/mcp/": 404, "/mcp//": 404, "/mcp/none": 404, "/mcp/none/": 404, "/mcp/none/x": 404,
			"/mcp/none/mcp/x": 404, "/mcp/none//mcp": 404, "/mcp/none/mcp": 404, "/mcp/none/mcp/": 404,
			"/mcp/gateway-errors": 404, "/mcp/gateway-errors/": 404, "/mcp/gateway-errors/../gateway-errors/mcp": 404,
			"/mcp/gateway-errors/mcp": 503, "/mcp/gateway-errors/mcp/": 503,
			"/.well-known/oauth-protected-resource/mcp": 404, "/.well-known/oauth-protected-resource/mcp/x/y": 404,
		} {
			for _, caller := range []*client{c, anonymous} {
				r := caller.do(method, path, nil)
				want := status
				switch {
				case method == "PROPFIND":
					want = 405 // the router knows no such method
				case caller == anonymous && strings.HasPrefix(path, "/mcp/") && strings.Count(path, "/") >= 3 &&
					(strings.HasSuffix(path, "/mcp") || strings.HasSuffix(path, "/mcp/")) && !strings.Contains(path, "//") &&
					!strings.Contains(path, ".."):
					want = 401
				}
				if r.status != want || r.header.Get("Location") != "" || r.header.Get("Content-Type") != "application/json" {
					t.Errorf("%s %s: got status %d, type %q and location %q, want status %d and JSON", method, path, r.status,
						r.header.Get("Content-Type"), r.header.Get("Location"), want)
					continue
				}
				if method == "HEAD" {
					continue
				}
				if f := r.failure(t); f.Code == "" || f.Message == "" || f.RequestID != r.header.Get("X-Request-ID") {
					t.Errorf("%s %s: got %s, want an error of the API with the request id", method, path, r.body)
				}
			}
		}
	}
}

// The reply to a change of an agent warns of MCP servers that are down and of tools that do not exist. It can be
// sent back.
func TestAgentWarnings(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	server := c.newMCPServer("warned", object{"command": "true"})
	c.post("/v1/mcp-servers/"+server.ID+"/stop", nil).want(t, 200)
	c.waitMCPServer(server.ID, "the MCP server to stop", func(s mcpServer) bool { return s.Status == "stopped" })
	type warned struct {
		ID       string
		Warnings []struct{ Field, Issue string }
	}
	created := c.post("/v1/agents/", object{"name": "a", "type": "chat", "config": object{
		"model": "echo", "mcp_servers": []string{"warned"}, "tools": []string{"warned__x", "other__y"},
	}}).want(t, 201)
	a := decode[warned](t, created)
	if len(a.Warnings) != 2 || a.Warnings[0].Field != "config.mcp_servers[0]" || a.Warnings[1].Field != "config.tools[1]" ||
		!strings.Contains(a.Warnings[0].Issue, `"warned" is not running`) {
		t.Errorf("got warnings %+v, want one of the server and one of the second tool", a.Warnings)
	}
	again := c.do("PUT", "/v1/agents/"+a.ID, string(created.body)).want(t, 200)
	if got := decode[warned](t, again); len(got.Warnings) != 2 {
		t.Errorf("got warnings %+v for the reply that was sent back, want the same two", got.Warnings)
	}
	if got := decode[warned](t, c.get("/v1/agents/"+a.ID).want(t, 200)); len(got.Warnings) != 0 {
		t.Errorf("got warnings %+v from GET, want none", got.Warnings)
	}
	if f := c.do("DELETE", "/v1/mcp-servers/"+server.ID, nil).want(t, 409).failure(t); !strings.Contains(f.Message, a.ID) ||
		f.Details.Field == "" {
		t.Errorf("got error %+v, want the agent", f)
	}
	c.do("DELETE", "/v1/mcp-servers/"+server.ID+"?force=true", nil).want(t, 204)
	f := c.post("/v1/agents/"+a.ID+"/chat", object{"message": "Hello"}).want(t, 409).failure(t)
	if f.Code != "CONFLICT" || !strings.Contains(f.Message, `MCP server "warned" does not exist anymore`) {
		t.Errorf("got error %+v, want CONFLICT and the deleted server", f)
	}
	c.do("DELETE", "/v1/agents/"+a.ID, nil).want(t, 204)
}
