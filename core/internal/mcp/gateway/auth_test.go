package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/test/mcptest"
)

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

// httpResponse is an HTTP response.
type httpResponse struct {
	status int
	header http.Header
	body   string
}

// message returns the JSON message of the response, which may be an event.
func (a *httpResponse) message(t *testing.T) map[string]any {
	t.Helper()
	text := a.body
	if i := strings.LastIndex(text, "data: {"); i >= 0 {
		text = text[i+len("data: "):]
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("decode %q: %v", a.body, err)
	}
	return m
}

// errorCode returns the code of the JSON-RPC error in the response.
func (a *httpResponse) errorCode(t *testing.T) int {
	t.Helper()
	e, _ := a.message(t)["error"].(map[string]any)
	code, _ := e["code"].(float64)
	return int(code)
}

// apiCode returns the code of the response's error in the format of the API.
func (a *httpResponse) apiCode(t *testing.T) core.Code {
	t.Helper()
	e, _ := a.message(t)["error"].(map[string]any)
	code, _ := e["code"].(string)
	if e["request_id"] == nil || e["message"] == "" || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %+v, want an error with a message and a request id", a)
	}
	return core.Code(code)
}

// request sends a request and returns the response. headers are lines of the form "Name:
// value".
func (e *env) request(t *testing.T, method, path, token, body string, headers ...string) *httpResponse {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, e.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &httpResponse{resp.StatusCode, resp.Header, string(b)}
}

// open starts a session and returns its ID.
func (e *env) open(t *testing.T, path, token string) string {
	t.Helper()
	a := e.request(t, "POST", path, token, initialize)
	id := a.header.Get(sessionHeader)
	if a.status != http.StatusOK || id == "" {
		t.Fatalf("initialize: got %+v, want status 200 and a session ID", a)
	}
	return id
}

const everythingPath = "/mcp/everything/mcp"

// newEverythingEnv returns an environment with the conformance server of the Go SDK.
func newEverythingEnv(t *testing.T, change ...func(*Options)) *env {
	t.Helper()
	server := mcptest.EverythingServer(t)
	return newEnv(t, map[string]func() (Conn, error){
		"everything": func() (Conn, error) { return startProgram(server) },
		"down":       func() (Conn, error) { return nil, core.Unavailable("The server is down") },
	}, change...)
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	r := newEverythingEnv(t)
	for _, method := range []string{"POST", "GET", "DELETE", "PUT"} {
		for _, token := range []string{"", "forged"} {
			a := r.request(t, method, everythingPath+"/", token, initialize)
			want := `Bearer resource_metadata="` + r.url + `/.well-known/oauth-protected-resource/mcp/everything/mcp/"`
			if a.status != http.StatusUnauthorized || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), want) {
				t.Errorf("%s with token %q: got %d, %q, want 401 and the prefix %q",
					method, token, a.status, a.header.Get("WWW-Authenticate"), want)
			}
		}
	}
	if a := r.request(t, "PUT", everythingPath, "ada", ""); a.status != http.StatusMethodNotAllowed ||
		a.header.Get("Allow") != "GET, POST, DELETE" {
		t.Errorf("got %+v, want status %d", a, http.StatusMethodNotAllowed)
	}
	if a := r.request(t, "POST", everythingPath, "viewer", initialize); a.status != http.StatusForbidden {
		t.Errorf("role viewer: got %+v, want status %d", a, http.StatusForbidden)
	}
	for path, token := range map[string]string{"/mcp/none/mcp": "ada", everythingPath: "outsider"} {
		if a := r.request(t, "POST", path, token, initialize); a.status != http.StatusNotFound {
			t.Errorf("%s for %s: got %+v, want status %d", path, token, a, http.StatusNotFound)
		}
	}
	if n := r.openCount("everything"); n != 0 {
		t.Errorf("got %d connections for rejected requests, want 0", n)
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	r := newEverythingEnv(t)
	for _, path := range []string{everythingPath, everythingPath + "/", "/mcp/whatever/mcp"} {
		a := r.request(t, "GET", metadataPath+path, "", "")
		if a.status != http.StatusOK || a.message(t)["resource"] != r.url+path {
			t.Errorf("%s: got %+v, want status %d", path, a, http.StatusOK)
		}
	}
}

func TestHostAndOriginChecks(t *testing.T) {
	t.Parallel()
	r := newEverythingEnv(t, func(o *Options) {
		o.PublicURL, o.Origins = "https://agents.example.com", []string{"https://app.example.com"}
	})
	for _, c := range []struct {
		line   string
		status int
	}{
		{"Origin: https://evil.example", 403},
		{"Origin: null", 403},
		{"Host: evil.example", 403},
		{"Host: agents.example.com", 200},
		{"Origin: https://agents.example.com", 200},
		{"Origin: https://app.example.com", 200},
		{"Origin: " + r.url, 200},
	} {
		if a := r.request(t, "POST", everythingPath, "ada", initialize, c.line); a.status != c.status {
			t.Errorf("%s: got %+v, want status %d", c.line, a, c.status)
		}
	}
}

func TestInvalidRequests(t *testing.T) {
	t.Parallel()
	r := newEverythingEnv(t, func(o *Options) { o.Limits.Body = 2000 })
	session := "Mcp-Session-Id: " + r.open(t, everythingPath, "ada")
	for name, c := range map[string]struct {
		body    string
		headers []string
		status  int
		code    int
	}{
		"invalid JSON":          {`{`, nil, 400, codeParse},
		"two values":            {`{} {}`, nil, 400, codeParse},
		"neither method nor id": {`{"jsonrpc":"2.0"}`, nil, 400, codeInvalidRequest},
		"null id":               {`{"jsonrpc":"2.0","id":null,"method":"ping"}`, nil, 400, codeInvalidRequest},
		"id is an object":       {`{"jsonrpc":"2.0","id":{},"method":"ping"}`, nil, 400, codeInvalidRequest},
		"duplicate member":      {`{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`, nil, 400, codeInvalidRequest},
		"params is an array":    {`{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`, nil, 400, codeInvalidRequest},
		"empty batch":           {`[]`, nil, 400, codeInvalidRequest},
	} {
		a := r.request(t, "POST", everythingPath, "ada", c.body, append(c.headers, session)...)
		if a.status != c.status || a.errorCode(t) != c.code {
			t.Errorf("%s: got %+v, want status %d and code %d", name, a, c.status, c.code)
		}
	}
}

// Every error that does not concern the JSON-RPC message has the format of the API, on every path and for every
// method. No path redirects.
func TestErrorFormat(t *testing.T) {
	t.Parallel()
	r := newEverythingEnv(t, func(o *Options) { o.Limits.Body = 2000 })
	session := "Mcp-Session-Id: " + r.open(t, everythingPath, "ada")
	const ping, unknown = `{"jsonrpc":"2.0","id":1,"method":"ping"}`, "Mcp-Session-Id: none"
	for name, tt := range map[string]struct {
		method, path, token, body string
		headers                   []string
		status                    int
		code                      core.Code
	}{
		"body too large":      {"POST", everythingPath, "ada", `{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("x", 2000) + `"}`, []string{session}, 413, core.CodePayloadTooLarge},
		"unknown revision":    {"POST", everythingPath, "ada", ping, []string{session, "Mcp-Protocol-Version: 1999-01-01"}, 400, core.CodeValidation},
		"wrong content type":  {"POST", everythingPath, "ada", `{}`, []string{session, "Content-Type: text/plain"}, 415, core.CodeUnsupportedMediaType},
		"accepts no events":   {"POST", everythingPath, "ada", `{}`, []string{session, "Accept: application/json"}, 406, core.CodeValidation},
		"no session":          {"POST", everythingPath, "ada", ping, nil, 400, core.CodeValidation},
		"unknown session":     {"POST", everythingPath, "ada", ping, []string{unknown}, 404, core.CodeNotFound},
		"GET, no session":     {"GET", everythingPath, "ada", "", nil, 400, core.CodeValidation},
		"GET, unknown":        {"GET", everythingPath, "ada", "", []string{unknown}, 404, core.CodeNotFound},
		"GET without events":  {"GET", everythingPath, "ada", "", []string{session, "Accept: application/json"}, 406, core.CodeValidation},
		"GET, old event":      {"GET", everythingPath, "ada", "", []string{session, "Last-Event-ID: x"}, 400, core.CodeValidation},
		"GET, modern":         {"GET", everythingPath, "ada", "", []string{"Mcp-Protocol-Version: 2026-07-28"}, 405, core.CodeMethodNotAllowed},
		"DELETE, no session":  {"DELETE", everythingPath, "ada", "", nil, 400, core.CodeValidation},
		"DELETE, unknown":     {"DELETE", everythingPath, "ada", "", []string{unknown}, 404, core.CodeNotFound},
		"DELETE, modern":      {"DELETE", everythingPath, "ada", "", []string{"Mcp-Protocol-Version: 2026-07-28"}, 405, core.CodeMethodNotAllowed},
		"PUT":                 {"PUT", everythingPath, "ada", "", nil, 405, core.CodeMethodNotAllowed},
		"PATCH":               {"PATCH", everythingPath + "/", "ada", "", nil, 405, core.CodeMethodNotAllowed},
		"OPTIONS":             {"OPTIONS", everythingPath, "ada", "", nil, 405, core.CodeMethodNotAllowed},
		"no token":            {"POST", everythingPath, "", ping, nil, 401, core.CodeUnauthorized},
		"OPTIONS, no token":   {"OPTIONS", everythingPath, "", "", nil, 401, core.CodeUnauthorized},
		"forged token":        {"GET", everythingPath, "forged", "", nil, 401, core.CodeUnauthorized},
		"viewer":              {"POST", everythingPath, "viewer", ping, nil, 403, core.CodeForbidden},
		"foreign origin":      {"POST", everythingPath, "ada", ping, []string{"Origin: https://evil.example"}, 403, core.CodeForbidden},
		"foreign host":        {"GET", everythingPath, "ada", "", []string{"Host: evil.example"}, 403, core.CodeForbidden},
		"unknown server":      {"POST", "/mcp/none/mcp/", "ada", ping, nil, 404, core.CodeNotFound},
		"server that is down": {"POST", "/mcp/down/mcp/", "ada", initialize, nil, 503, core.CodeUnavailable},
		"metadata, POST":      {"POST", metadataPath + everythingPath, "", "", nil, 405, core.CodeMethodNotAllowed},
		"metadata, origin":    {"GET", metadataPath + everythingPath, "", "", []string{"Origin: null"}, 403, core.CodeForbidden},
	} {
		a := r.request(t, tt.method, tt.path, tt.token, tt.body, tt.headers...)
		if code := a.apiCode(t); a.status != tt.status || code != tt.code {
			t.Errorf("%s: got status %d and code %s, want %d and %s: %s", name, a.status, code, tt.status, tt.code, a.body)
		}
	}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
		for _, path := range []string{
			"/mcp", "/mcp/", "/mcp//", "/mcp//mcp", "/mcp//mcp/", "/mcp/everything", "/mcp/everything/", "/mcp/everything//mcp",
			"/mcp/everything/mcp//", "/mcp/everything/mcp/x", "/mcp/everything/MCP", "/mcp/everything/../everything/mcp",
			"/mcp/./everything/mcp", "/mcp/everything/mcp/..", "/mcp/everything%2Fmcp", "/", metadataPath, metadataPath + "/",
			metadataPath + "/mcp/everything", metadataPath + "/mcp//mcp",
		} {
			if a := r.request(t, method, path, "ada", ""); a.status != 404 || a.apiCode(t) != core.CodeNotFound {
				t.Errorf("%s %s: got %+v, want status 404 and %s", method, path, a, core.CodeNotFound)
			}
		}
	}
}

func TestSessionBelongsToItsUser(t *testing.T) {
	t.Parallel()
	r := newEverythingEnv(t)
	session := "Mcp-Session-Id: " + r.open(t, everythingPath, "ada")
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	for _, method := range []string{"POST", "GET", "DELETE"} {
		if a := r.request(t, method, everythingPath, "bob", ping, session); a.status != http.StatusNotFound {
			t.Errorf("%s by another user: got %+v, want status %d", method, a, http.StatusNotFound)
		}
	}
	if a := r.request(t, "POST", everythingPath, "ada", ping, session); a.status != http.StatusOK {
		t.Errorf("got %+v, want status %d", a, http.StatusOK)
	}
	if a := r.request(t, "DELETE", everythingPath, "ada", "", session); a.status != http.StatusNoContent {
		t.Errorf("got %+v, want status %d", a, http.StatusNoContent)
	}
	if a := r.request(t, "POST", everythingPath, "ada", ping, session); a.status != http.StatusNotFound {
		t.Errorf("after DELETE: got %+v, want status %d", a, http.StatusNotFound)
	}
}
