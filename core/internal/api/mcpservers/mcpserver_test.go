package mcpservers

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

const (
	mcpServersAt  = "/v1/mcp-servers/"
	goodMCPServer = `{"name":"a","config":{"url":"https://example.com/mcp"}}`
)

func TestMCPServers(t *testing.T) {
	t.Parallel()
	env := newEnv(t, func(_ *api.Options, o *Options) { o.URL = "http://localhost:81/" })
	made := env.Do(t, "root", "POST", mcpServersAt,
		`{"name":"my-mcp-server","slug":"my-server","config":{"command":"python","args":["-m","my_mcp_server"],"env":{"API_KEY":"secret-key"}}}`).Want(201)
	got := made.JSON()
	id, _ := got["id"].(string)
	if !strings.HasPrefix(id, "server-") || made.Header().Get("Location") != mcpServersAt+id ||
		made.Header().Get("ETag") != `"v1"` {
		t.Errorf("got id %q and headers %v, want server-…, its Location and ETag v1", id, made.Header())
	}
	for name, want := range map[string]any{
		"name": "my-mcp-server", "description": "", "slug": "my-server", "status": "starting", "transport": "stdio",
		"url": "http://localhost:81/mcp/my-server/mcp/", "shared": false,
		"share_credentials": false, "wanted": true, "last_error": "", "sandbox": "",
		"restarts": 0.0, "created_by": "user-root", "started_at": nil,
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
	if !strings.Contains(made.Body.String(),
		`"config":{"args":["-m","my_mcp_server"],"command":"python","env":{"API_KEY":"***"}},"capabilities":[]`) {
		t.Errorf("got %s, want the config with masked secrets", made.Body)
	}
	if env.mcp.secrets[id].Env["API_KEY"] != "secret-key" {
		t.Errorf("the manager got the secrets %v, want the API key", env.mcp.secrets[id])
	}

	env.mcp.servers[id].Capabilities = []string{"tools", "resources"}
	env.mcp.states[id] = core.MCPState{
		Status: core.MCPRunning, LastError: "it ended with exit code 3",
		Restarts: 2, PID: 4711, Sandbox: "rlimits", StartedAt: testTime,
	}
	got = env.Do(t, "root", "GET", "/v1/mcp-servers", "").Want(200).JSON()
	if got["total"] != 1.0 || got["limit"] != 100.0 || got["offset"] != 0.0 {
		t.Errorf("list = %v, want total 1, limit 100 and offset 0", got)
	}
	one := got["servers"].([]any)[0].(map[string]any)
	for name, want := range map[string]any{
		"status": "running", "last_error": "it ended with exit code 3", "restarts": 2.0, "pid": 4711.0, "sandbox": "rlimits",
		"started_at": "2025-01-02T03:04:05.000678Z",
	} {
		if one[name] != want {
			t.Errorf("%s = %v, want %v", name, one[name], want)
		}
	}
	if c, _ := json.Marshal(one["capabilities"]); string(c) != `["tools","resources"]` {
		t.Errorf("capabilities = %s, want tools and resources", c)
	}
	empty := env.Do(t, "bob", "GET", mcpServersAt+"?limit=5&offset=3", "").Want(200)
	if s := strings.TrimSpace(empty.Body.String()); s != `{"servers":[],"total":0,"limit":5,"offset":3}` {
		t.Errorf("got %s, want an empty list", s)
	}
	env.Do(t, "root", "DELETE", mcpServersAt+id+"/", "").Want(204)
	env.Do(t, "root", "GET", mcpServersAt+id, "").Want(404)
	if strings.Contains(env.Log(), "secret-key") {
		t.Error("the log contains the secret")
	}
}

func TestMCPServer_url(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		public, mcp, want string
		secure            bool
	}{
		"a URL of its own":         {"https://area.example.com", "http://localhost:81", "http://localhost:81/mcp/slug-of-server-1/mcp/", false},
		"the public URL":           {"https://area.example.com/", "", "https://area.example.com/mcp/slug-of-server-1/mcp/", false},
		"as the request came":      {"", "", "http://here:8000/mcp/slug-of-server-1/mcp/", false},
		"as the request came, TLS": {"", "", "https://here:8000/mcp/slug-of-server-1/mcp/", true},
	} {
		env := newEnv(t, func(_ *api.Options, o *Options) { o.URL = cmp.Or(c.mcp, c.public) })
		env.mcp.add("server-1", "ann")
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, mcpServersAt+"server-1", nil)
		r.Host = "here:8000"
		r.Header.Set("Authorization", "Bearer "+env.Tokens["ann"])
		if c.secure {
			r.TLS = &tls.ConnectionState{}
		}
		w := httptest.NewRecorder()
		env.API.Handler().ServeHTTP(w, r)
		if got := apitest.NewAnswer(t, w).Want(200).JSON()["url"]; got != c.want {
			t.Errorf("%s: url = %v, want %s", name, got, c.want)
		}
	}
}

func TestCreateMCPServer_defaults(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.mcp.add("server-1", "bob", func(s *core.MCPServer) { s.Slug = "my-server" })
	env.mcp.add("server-2", "bob", func(s *core.MCPServer) { s.Slug = "my-server-2" })
	long := strings.Repeat("x", 60)
	env.mcp.add("server-3", "bob", func(s *core.MCPServer) { s.Slug = long[:40] })
	for body, want := range map[string]string{
		`{"name":"Search (v2)","config":{"url":"u"}}`:                                  "search-v2 http true",
		`{"name":"My server","config":{"url":"u"}}`:                                    "my-server-3 http true",
		`{"name":"Files","config":{"url":"u"}}`:                                        "files-2 http true",
		`{"name":"翻訳","config":{"command":"c"}}`:                                       "server stdio true",
		`{"name":"` + long + `","config":{"url":"u"}}`:                                 long[:37] + "-2 http true",
		`{"name":"a","slug":"sse","transport":"sse","config":{"url":"u"}}`:             "sse sse true",
		`{"name":"a","slug":"off","config":{"url":"u"},"auto_start":false}`:            "off http false",
		`{"name":"a","slug":"on","config":{"url":"u"},"auto_start":true}`:              "on http true",
		`{"name":"a","slug":"box","transport":"container","config":{"image":"x:1"}}`:   "box container true",
		`{"name":"a","slug":"both","transport":"box","config":{"url":"","command":1}}`: "both box true",
	} {
		got := env.Do(t, "root", "POST", mcpServersAt, body).Want(201).JSON()
		var words []string
		for _, name := range []string{"slug", "transport", "wanted"} {
			word, _ := json.Marshal(got[name])
			words = append(words, strings.Trim(string(word), `"`))
		}
		if s := strings.Join(words, " "); s != want {
			t.Errorf("POST %s = %s, want %s", body, s, want)
		}
		if status := got["status"]; (status == "starting") != (got["wanted"] == true) {
			t.Errorf("POST %s: status = %v with wanted %v", body, status, got["wanted"])
		}
	}
}

func TestMCPServers_invalid(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.mcp.add("server-1", "ann")
	env.mcp.add("server-2", "bob", func(s *core.MCPServer) { s.Slug = "taken" })
	one, logs := mcpServersAt+"server-1", mcpServersAt+"server-1/logs"
	with := func(fields string) string { return `{"name":"a","config":{"url":"u"},` + fields + `}` }
	config := func(config string) string { return `{"name":"a","config":` + config + `}` }
	for name, c := range map[string]struct {
		method, path, body, header string
		status                     int
		field, issue               string
	}{
		"no name":                {"POST", mcpServersAt, `{"config":{"url":"u"}}`, "", 400, "name", "Field is required"},
		"blank name":             {"POST", mcpServersAt, `{"name":" ","config":{"url":"u"}}`, "", 400, "name", "Must not be empty"},
		"long name":              {"POST", mcpServersAt, `{"name":"` + strings.Repeat("a", 101) + `","config":{"url":"u"}}`, "", 400, "name", "at most 100"},
		"unknown field":          {"POST", mcpServersAt, with(`"colour":1`), "", 400, "colour", `Unknown field "colour". Known fields: auto_start, config, description, name, share_credentials, shared, slug, transport`},
		"read-only field":        {"POST", mcpServersAt, with(`"id":"server-1"`), "", 400, "id", "Unknown field"},
		"wanted":                 {"POST", mcpServersAt, with(`"wanted":false`), "", 400, "wanted", "Unknown field"},
		"share_credentials":      {"POST", mcpServersAt, with(`"share_credentials":"yes"`), "", 400, "share_credentials", "Must be true or false"},
		"shared is a string":     {"POST", mcpServersAt, with(`"shared":"yes"`), "", 400, "shared", "Must be true or false"},
		"empty slug":             {"POST", mcpServersAt, with(`"slug":""`), "", 400, "slug", "Must contain only a-z"},
		"slug in capitals":       {"POST", mcpServersAt, with(`"slug":"My"`), "", 400, "slug", "Must contain only a-z"},
		"slug with underscore":   {"POST", mcpServersAt, with(`"slug":"a_b"`), "", 400, "slug", "Must contain only a-z"},
		"slug with two hyphens":  {"POST", mcpServersAt, with(`"slug":"a--b"`), "", 400, "slug", "single hyphens"},
		"long slug":              {"POST", mcpServersAt, with(`"slug":"` + strings.Repeat("a", 41) + `"`), "", 400, "slug", "at most 40"},
		"reserved slug":          {"POST", mcpServersAt, with(`"slug":"files"`), "", 400, "slug", "reserved"},
		"slug in use":            {"POST", mcpServersAt, with(`"slug":"taken"`), "", 409, "", ""},
		"unknown transport":      {"POST", mcpServersAt, with(`"transport":"gone"`), "", 400, "transport", "Available: http, stdio"},
		"no config":              {"POST", mcpServersAt, `{"name":"a"}`, "", 400, "config", "Field is required"},
		"config is a list":       {"POST", mcpServersAt, config(`["npx"]`), "", 400, "config", "Must be an object"},
		"null config":            {"POST", mcpServersAt, config(`null`), "", 400, "config", "Must be an object"},
		"empty config":           {"POST", mcpServersAt, config(`{}`), "", 400, "config", `Must have a command, such as {"command": "npx"`},
		"command and url":        {"POST", mcpServersAt, config(`{"url":"u","command":"c"}`), "", 400, "transport", "both a command and a url"},
		"headers are a list":     {"POST", mcpServersAt, config(`{"url":"u","headers":["a"]}`), "", 400, "config.headers", "Must be an object of strings"},
		"null env":               {"POST", mcpServersAt, config(`{"command":"c","env":null}`), "", 400, "config.env", "Must be an object of strings"},
		"number in env":          {"POST", mcpServersAt, config(`{"command":"c","env":{"A":"a","PORT":80}}`), "", 400, "config.env.PORT", "Must be a string"},
		"null in env":            {"POST", mcpServersAt, config(`{"command":"c","env":{"A":null}}`), "", 400, "config.env.A", "Must be a string"},
		"env in capitals":        {"POST", mcpServersAt, config(`{"command":"c","ENV":{"A":"a"}}`), "", 400, "config.ENV", `Must be spelled "env"`},
		"masked in a new server": {"POST", mcpServersAt, config(`{"url":"u","headers":{"Authorization":"***"}}`), "", 400, "config.headers.Authorization", "Must be the value itself"},
		"command by a member":    {"POST", mcpServersAt, config(`{"command":"c"}`), "", 403, "", ""},
		"NUL in an argument":     {"POST", mcpServersAt, config(`{"command":"c","args":["\u0000"]}`), "", 400, "config.args[0]", "NUL"},
		"put without config":     {"PUT", one, `{"name":"a"}`, "", 400, "config", "Field is required"},
		"put of a slug in use":   {"PUT", one, with(`"slug":"taken"`), "", 409, "", ""},
		"put of a reserved slug": {"PUT", one, with(`"slug":"files"`), "", 400, "slug", "reserved"},
		"put of a command":       {"PUT", one, config(`{"command":"c"}`), "", 403, "", ""},
		"put of a new mask":      {"PUT", one, config(`{"url":"u","headers":{"X":"***"}}`), "", 400, "config.headers.X", "Must be the value itself"},
		"put of auto_start":      {"PUT", one, with(`"auto_start":true`), "", 400, "auto_start", `Unknown field "auto_start". Known fields: config, description, name, share_credentials, shared, slug, transport`},
		"patch to no slug":       {"PATCH", one, `{"slug":null}`, "", 400, "slug", "Field is required"},
		"patch to no name":       {"PATCH", one, `{"name":null}`, "", 400, "name", "Field is required"},
		"patch to no config":     {"PATCH", one, `{"config":null}`, "", 400, "config", "Field is required"},
		"patch to no url":        {"PATCH", one, `{"config":{"url":null}}`, "", 400, "config", "Must have a command"},
		"patch to a command":     {"PATCH", one, `{"config":{"url":null,"command":"c"}}`, "", 403, "", ""},
		"stale If-Match":         {"PUT", one, goodMCPServer, `If-Match: "v7"`, 412, "If-Match", "has changed"},
		"stale delete":           {"DELETE", one, "", `If-Match: "v7"`, 412, "If-Match", "has changed"},
		"large limit":            {"GET", mcpServersAt + "?limit=101", "", "", 400, "limit", "Must be at most 100"},
		"NUL in a path":          {"GET", mcpServersAt + "a%00b", "", "", 400, "server_id", "NUL"},
		"tail of 0":              {"GET", logs + "?tail=0", "", "", 400, "tail", "Must be at least 1"},
		"large tail":             {"GET", logs + "?tail=10001", "", "", 400, "tail", "Must be at most 10000"},
		"tail is a word":         {"GET", logs + "?tail=all", "", "", 400, "tail", "Must be an integer"},
		"follow is a word":       {"GET", logs + "?follow=please", "", "", 400, "follow", "Must be true or false"},
		"invalid Last-Event-ID":  {"GET", logs + "?follow=true", "", "Last-Event-ID: last", 400, "Last-Event-ID", "id of a line"},
		"tools, not running":     {"GET", one + "/tools", "", "", 503, "", ""},
		"wrong method":           {"GET", one + "/start", "", "", 405, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if c.header != "" {
				headers = append(headers, c.header)
			}
			f := env.Do(t, "ann", c.method, c.path, c.body, headers...).Want(c.status).Failure()
			if f.Details.Field != c.field || !strings.Contains(f.Details.Issue, c.issue) {
				t.Errorf("got %+v, want field %q and issue %q", f.Details, c.field, c.issue)
			}
		})
	}
}

func TestReplaceMCPServer_withReplyOfGet(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.mcp.add("server-1", "ann", func(s *core.MCPServer) { s.Shared, s.Description = true, "words" })
	env.mcp.states["server-1"] = core.MCPState{
		Status: core.MCPRunning, PID: 7, Restarts: 1, LastError: "e", Sandbox: "rlimits", StartedAt: testTime,
	}
	for i, who := range []string{"ann", "root"} {
		read := env.Do(t, who, "GET", mcpServersAt+"server-1", "").Want(200)
		if _, ok := read.JSON()["pid"]; ok != (who == "root") {
			t.Errorf("the reply to %s has a pid: %t, want it for administrators only", who, ok)
		}
		env.Do(t, who, "PUT", mcpServersAt+"server-1", read.Body.String(), "If-Match: "+read.Header().Get("ETag")).Want(200)
		s := env.mcp.servers["server-1"]
		if s.CreatedBy != "user-ann" || s.Version != int64(i+2) || !s.Shared || s.Description != "words" || !s.ShouldRun() ||
			env.mcp.secrets["server-1"].Headers["Authorization"] != "Bearer old" {
			t.Errorf("the server is %+v with secrets %v, want unset fields kept", s, env.mcp.secrets)
		}
	}
}

func TestMCPServer_lastErrorIsForItsCreator(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.mcp.add("server-1", "ann", func(s *core.MCPServer) { s.Shared = true })
	env.mcp.states["server-1"] = core.MCPState{
		Status: core.MCPError, LastError: "dial tcp 10.1.2.3:80: connection refused",
	}
	for who, want := range map[string]string{
		"ann": env.mcp.states["server-1"].LastError, "root": env.mcp.states["server-1"].LastError, "bob": "",
	} {
		if got := env.Do(t, who, "GET", mcpServersAt+"server-1", "").Want(200).JSON()["last_error"]; got != want {
			t.Errorf("last_error for %s = %q, want %q", who, got, want)
		}
	}
}

func TestReplaceMCPServer(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.mcp.add("server-1", "ann", func(s *core.MCPServer) { s.Shared, s.Description, s.Transport = true, "words", "sse" })
	env.mcp.races = 2 // another client updates the server first, twice
	got := env.Do(t, "ann", "PUT", mcpServersAt+"server-1", goodMCPServer).Want(200)
	if got.Header().Get("ETag") != `"v4"` {
		t.Errorf("got ETag %s, want v4", got.Header().Get("ETag"))
	}
	s := env.mcp.servers["server-1"]
	if s.Name != "a" || s.Slug != "slug-of-server-1" || s.Description != "" || s.Shared || s.Transport != "http" ||
		!env.mcp.secrets["server-1"].Empty() {
		t.Errorf("the server is %+v with secrets %v, want all fields replaced except the slug", s, env.mcp.secrets)
	}
}

func TestChangeMCPServer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		patch string
		check func(s *core.MCPServer, secrets core.MCPSecrets) bool
	}{
		"nothing": {`{}`, func(s *core.MCPServer, secrets core.MCPSecrets) bool {
			return s.Name == "file-operations" && s.Transport == "http" && secrets.Headers["Authorization"] == "Bearer old"
		}},
		"credentials":     {`{"share_credentials":true}`, func(s *core.MCPServer, _ core.MCPSecrets) bool { return s.ShareCredentials && !s.Shared }},
		"one field":       {`{"shared":true}`, func(s *core.MCPServer, _ core.MCPSecrets) bool { return s.Shared && s.ShouldRun() }},
		"another slug":    {`{"slug":"new"}`, func(s *core.MCPServer, _ core.MCPSecrets) bool { return s.Slug == "new" }},
		"null takes away": {`{"description":null}`, func(s *core.MCPServer, _ core.MCPSecrets) bool { return s.Description == "" }},
		"a secret more": {`{"config":{"headers":{"X-Key":"k"}}}`, func(_ *core.MCPServer, secrets core.MCPSecrets) bool {
			return len(secrets.Headers) == 2 && secrets.Headers["Authorization"] == "Bearer old" &&
				secrets.Headers["X-Key"] == "k"
		}},
		"another secret": {
			`{"config":{"headers":{"Authorization":"Bearer new"}}}`, func(_ *core.MCPServer, secrets core.MCPSecrets) bool {
				return secrets.Headers["Authorization"] == "Bearer new"
			},
		},
		"a secret less": {`{"config":{"headers":{"Authorization":null}}}`, func(_ *core.MCPServer, secrets core.MCPSecrets) bool { return secrets.Empty() }},
		"a command instead": {
			`{"config":{"url":null,"headers":null,"command":"npx"}}`, func(s *core.MCPServer, _ core.MCPSecrets) bool {
				return s.Transport == "stdio" && strings.Contains(string(s.Config), `"command":"npx"`)
			},
		},
		"another transport": {`{"transport":"sse"}`, func(s *core.MCPServer, _ core.MCPSecrets) bool { return s.Transport == "sse" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			env.mcp.add("server-1", "ann", func(s *core.MCPServer) { s.Description = "words" })
			got := env.Do(t, "root", "PATCH", mcpServersAt+"server-1", c.patch,
				"Content-Type: application/merge-patch+json").Want(200)
			if s := env.mcp.servers["server-1"]; !c.check(s, env.mcp.secrets["server-1"]) {
				t.Errorf("the server is %+v with secrets %v", s, env.mcp.secrets)
			}
			if strings.Contains(got.Body.String(), "Bearer") || strings.Contains(got.Body.String(), `"k"`) {
				t.Errorf("the reply contains a secret: %s", got.Body)
			}
		})
	}
}

// TestChangeMCPServer_keepsTransport checks that a change of the config does not reset a transport that was set
// explicitly.
func TestChangeMCPServer_keepsTransport(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.mcp.add("server-1", "ann", func(s *core.MCPServer) { s.Transport = "sse" })
	env.Do(t, "ann", "PATCH", mcpServersAt+"server-1", `{"config":{"url":"https://example.com/sse"}}`).Want(200)
	if s := env.mcp.servers["server-1"]; s.Transport != "sse" {
		t.Errorf("the server is %+v, want transport sse", s)
	}
}

func TestStartStopRestart(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.mcp.add("server-1", "ann")
	for _, c := range []struct {
		verb, status, message string
		wanted                bool
	}{
		{"stop", "stopping", "MCP server stopped", false},
		{"start", "starting", "MCP server started", true},
		{"restart/", "starting", "MCP server restarted", true},
	} {
		got := env.Do(t, "ann", "POST", mcpServersAt+"server-1/"+c.verb, "").Want(200).JSON()
		if got["id"] != "server-1" || got["status"] != c.status || got["message"] != c.message || got["wanted"] != c.wanted {
			t.Errorf("%s: got %v, want status %s, message %q and wanted %t", c.verb, got, c.status, c.message, c.wanted)
		}
	}
}

// The reply describes the state after the action, and not the action that was asked for.
func TestStart_result(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		verb          string
		before, after core.MCPState
		message       string
	}{
		"of a failed one": {
			"start",
			core.MCPState{Status: core.MCPError, LastError: "exit status 1"},
			core.MCPState{Status: core.MCPStarting},
			"MCP server started",
		},
		"that fails again": {
			"start",
			core.MCPState{Status: core.MCPError, LastError: "exit status 1"},
			core.MCPState{Status: core.MCPError, LastError: "no such file"},
			"MCP server did not start: no such file",
		},
		"restart that fails": {
			"restart",
			core.MCPState{Status: core.MCPRunning},
			core.MCPState{Status: core.MCPError},
			"MCP server did not start. See its logs.",
		},
		"of a running one": {
			"start",
			core.MCPState{Status: core.MCPRunning},
			core.MCPState{Status: core.MCPRunning},
			"MCP server is already running",
		},
	} {
		env := newEnv(t)
		env.mcp.add("server-1", "ann")
		env.mcp.states["server-1"], env.mcp.started = c.before, &c.after
		got := env.Do(t, "ann", "POST", mcpServersAt+"server-1/"+c.verb, "").Want(200).JSON()
		if got["message"] != c.message || got["status"] != string(c.after.Status) {
			t.Errorf("%s: got %v, want status %s and message %q", name, got, c.after.Status, c.message)
		}
	}
}

func TestSharedMCPServers(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.mcp.add("server-1", "bob", func(s *core.MCPServer) { s.Shared = true })
	env.mcp.states["server-1"] = core.MCPState{Status: core.MCPRunning}
	at := mcpServersAt + "server-1"
	for who, status := range map[string]int{"ann": 403, "eve": 403, "bob": 200, "root": 200} {
		env.Do(t, who, "GET", at, "").Want(200)
		env.Do(t, who, "GET", at+"/tools", "").Want(200)
		env.Do(t, who, "GET", at+"/logs", "").Want(status)
		env.Do(t, who, "PUT", at, goodMCPServer[:len(goodMCPServer)-1]+`,"shared":true}`).Want(status)
		env.Do(t, who, "PATCH", at, `{}`).Want(status)
		for _, verb := range []string{"/restart", "/stop", "/start"} {
			env.Do(t, who, "POST", at+verb, "").Want(status)
		}
		env.mcp.states["server-1"] = core.MCPState{Status: core.MCPRunning}
	}
	env.Do(t, "ann", "DELETE", at, "").Want(403)
	env.mcp.inUse = true
	env.Do(t, "root", "DELETE", at, "").Want(409)
	env.Do(t, "root", "DELETE", at+"?force=false", "").Want(409)
	env.Do(t, "root", "DELETE", at+"?force=maybe", "").Want(400)
	env.Do(t, "eve", "POST", mcpServersAt, goodMCPServer).Want(403)
	env.Do(t, "root", "DELETE", at+"?force=true", "", `If-Match: "v7"`).Want(412)
	env.Do(t, "root", "DELETE", at+"?force=true", "", `If-Match: "v`+string(rune('0'+env.mcp.servers["server-1"].Version))+`"`).Want(204)
}

func TestMCPTools(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.mcp.add("server-1", "ann", func(s *core.MCPServer) { s.Slug = "my-server" })
	env.mcp.states["server-1"] = core.MCPState{Status: core.MCPRunning}
	at := mcpServersAt + "server-1/tools"
	if s := strings.TrimSpace(env.Do(t, "ann", "GET", at, "").Want(200).Body.String()); s != `{"tools":[]}` {
		t.Errorf("got %s, want no tools", s)
	}
	env.mcp.tools = []core.MCPTool{
		{Name: "echo", Title: "Echo", Description: "<Says> it", InputSchema: `{"type":"object","n":12345678901234567890}`, ReadOnly: true, Idempotent: true},
		{Name: "rm", Destructive: true},
	}
	want := `{"tools":[{"name":"echo","qualified_name":"my-server__echo","title":"Echo","description":"<Says> it",` +
		`"input_schema":{"type":"object","n":12345678901234567890},"read_only":true,"destructive":false,"idempotent":true},` +
		`{"name":"rm","qualified_name":"my-server__rm","description":"","input_schema":{},"read_only":false,"destructive":true,"idempotent":false}]}`
	if s := strings.TrimSpace(env.Do(t, "ann", "GET", at, "").Want(200).Body.String()); s != want {
		t.Errorf("got tools %s, want %s", s, want)
	}
}
