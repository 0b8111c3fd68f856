package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/test/mcptest"
	"github.com/agentarea/agentarea/test/openaitest"
)

const stdioPlugin = `
plugin "mcp" "stdio" {
  command = "mcp-stdio"
}
`

// mcpServer is an MCP server in a reply.
type mcpServer struct {
	ID, Name, Slug, Status, URL, Transport, Sandbox string
	Config                                          map[string]any
	Capabilities                                    []string
	LastError                                       string `json:"last_error"`
	Restarts, PID                                   int
	Wanted, Shared                                  bool
}

// npmServer returns the config of an MCP server from npm.
func npmServer(t *testing.T, script string, args ...string) object {
	t.Helper()
	return object{"command": mcptest.Node(t), "args": append([]string{mcptest.Script(t, script)}, args...)}
}

func (c *client) newMCPServer(slug string, config object) mcpServer {
	c.t.Helper()
	return decode[mcpServer](c.t,
		c.post("/v1/mcp-servers/", object{"name": slug, "slug": slug, "config": config}).want(c.t, 201))
}

func (c *client) mcpServer(id string) mcpServer {
	c.t.Helper()
	return decode[mcpServer](c.t, c.get("/v1/mcp-servers/"+id).want(c.t, 200))
}

// waitMCPServer waits until a condition holds for an MCP server. what names the condition.
func (c *client) waitMCPServer(id, what string, is func(mcpServer) bool) mcpServer {
	c.t.Helper()
	var s mcpServer
	eventually(c.t, what, func() bool { s = c.mcpServer(id); return is(s) })
	return s
}

func running(s mcpServer) bool { return s.Status == "running" }

func toolCall(n int, name, arguments string) openaitest.ToolCall {
	return openaitest.ToolCall{ID: fmt.Sprintf("call_%d", n), Name: name, Arguments: arguments}
}

// An agent calls tools of two MCP servers from npm, both in the same step.
func TestAgentUsesMCPServers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "sum.txt")
	write, err := json.Marshal(map[string]string{"path": path, "content": "42"})
	if err != nil {
		t.Fatal(err)
	}
	base := upstream(t, openaitest.Options{Answer: func(r *openaitest.Request) openaitest.Reply {
		last := r.Messages[len(r.Messages)-1]
		switch {
		case last.Role == "user":
			offered := map[string]bool{}
			for _, tool := range r.Tools {
				offered[tool.Function.Name] = true
			}
			if !offered["files-here__write_file"] || !offered["everything__get-sum"] || offered["everything__echo"] {
				t.Errorf("the model gets the tools %v", offered)
			}
			return openaitest.Tools(toolCall(1, "everything__get-sum", `{"a":40,"b":2}`),
				toolCall(2, "files-here__write_file", string(write)))
		default:
			var results strings.Builder
			for _, m := range r.Messages {
				if m.Role == "tool" {
					results.WriteString(m.Text() + "|")
				}
			}
			if !strings.Contains(results.String(), "42") || !strings.Contains(results.String(), "sum.txt") {
				t.Errorf("the tools return %s", results.String())
			}
			return openaitest.Text("Done.")
		}
	}})
	s := start(t, pluginsHCL(base)+stdioPlugin)
	c := s.signIn()
	everything := c.newMCPServer("everything", npmServer(t, "mcp-server-everything"))
	files := c.newMCPServer("files-here", npmServer(t, "mcp-server-filesystem", dir))
	for _, id := range []string{everything.ID, files.ID} {
		c.waitMCPServer(id, "the MCP server to run", running)
	}
	agent := decode[struct{ ID string }](t, c.post("/v1/agents/", object{"name": "a", "type": "chat", "config": object{
		"model": "gpt-4o", "mcp_servers": []string{"everything", "files-here"},
		"tools": []string{"everything__get-*", "files-here__*"},
	}}).want(t, 201)).ID
	if reply := c.chat(agent, "s", "Add and write"); reply.Message != "Done." {
		t.Errorf("got answer %q, want Done.", reply.Message)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "42" {
		t.Errorf("the file has %q (%v), want 42", got, err)
	}
	calls, results := 0, 0
	turn := c.startTurn(agent, "t", "Add and write")
	if end := turn.readAll(); end.Type != "end" {
		t.Errorf("the stream ends with %+v, want end", end)
	}
	for _, e := range turn.seen {
		switch e.Type {
		case "tool_call":
			calls++
		case "tool_result":
			results++
		}
	}
	if calls != 2 || results != 2 {
		t.Errorf("the stream has %d calls and %d results, want 2 of each", calls, results)
	}
}

// After a restart of the server, its MCP servers are in the desired state, and no process of the
// killed server is left.
func TestMCPServersAfterRestart(t *testing.T) {
	t.Parallel()
	s := start(t, pluginsHCL("http://127.0.0.1:1/v1")+stdioPlugin)
	c := s.signIn()
	up := c.newMCPServer("up", npmServer(t, "mcp-server-memory"))
	down := c.newMCPServer("down", npmServer(t, "mcp-server-memory"))
	first := c.waitMCPServer(up.ID, "the MCP server to run", running)
	c.waitMCPServer(down.ID, "the MCP server to run", running)
	if r := c.post("/v1/mcp-servers/"+down.ID+"/stop", nil).want(t, 200); !strings.Contains(string(r.body), "stopped") {
		t.Errorf("stop returns %s", r.body)
	}
	c.waitMCPServer(down.ID, "the MCP server to stop", func(s mcpServer) bool { return s.Status == "stopped" })
	s.kill()
	eventually(t, "the end of the process", func() bool { return !alive(first.PID) })
	s.start()
	c = s.signIn()
	second := c.waitMCPServer(up.ID, "the MCP server to run again", running)
	if second.PID == first.PID {
		t.Error("the MCP server has the same process as before the kill")
	}
	if got := c.mcpServer(down.ID); got.Status != "stopped" || got.Wanted {
		t.Errorf("got stopped MCP server %+v", got)
	}
	// The server restarts an MCP server that crashes, and counts the restart.
	kill(t, second.PID)
	third := c.waitMCPServer(up.ID, "the MCP server to run after its crash",
		func(s mcpServer) bool { return running(s) && s.PID != second.PID })
	if third.Restarts != 1 {
		t.Errorf("got %+v, want 1 restart", third)
	}
	if r := c.post("/v1/mcp-servers/"+up.ID+"/restart", nil).want(t, 200); !strings.Contains(string(r.body),
		"MCP server restarted") {
		t.Errorf("restart returns %s", r.body)
	}
	c.waitMCPServer(up.ID, "the MCP server to run after a restart",
		func(s mcpServer) bool { return running(s) && s.PID != third.PID })
	c.do("DELETE", "/v1/mcp-servers/"+up.ID, nil).want(t, 204)
	c.get("/v1/mcp-servers/"+up.ID).want(t, 404)
}

// Replies and logs do not contain an MCP server's secrets, and a program's failure is reported.
func TestMCPServerSecretsAndFailures(t *testing.T) {
	t.Parallel()
	s := start(t, pluginsHCL("http://127.0.0.1:1/v1")+stdioPlugin)
	admin := s.signIn()
	ann := s.newUser(admin, "ann", "member")
	const secret = "hunter2-hunter2"
	config := object{
		"command": "sh", "args": []string{"-c", `echo "the key is $KEY" >&2; exit 3`}, "env": object{"KEY": secret},
	}
	f := ann.post("/v1/mcp-servers/", object{"name": "x", "config": config}).want(t, 403).failure(t)
	if f.Code != "FORBIDDEN" {
		t.Errorf("got error %+v, want FORBIDDEN", f)
	}
	bad := admin.newMCPServer("bad", config)
	got := admin.waitMCPServer(bad.ID, "the MCP server to fail",
		func(s mcpServer) bool { return s.Status == "error" && s.LastError != "" })
	if !strings.Contains(got.LastError, "exited with code 3") || !strings.Contains(got.LastError, "the key is ***") {
		t.Errorf("got last error %q, want the exit code and the redacted output", got.LastError)
	}
	logs := string(admin.get("/v1/mcp-servers/"+bad.ID+"/logs?tail=50").want(t, 200).body)
	if !strings.Contains(logs, "the key is ***") {
		t.Errorf("got logs %s, want the redacted output", logs)
	}
	for _, path := range []string{"/v1/mcp-servers/", "/v1/mcp-servers/" + bad.ID, "/v1/mcp-servers/" + bad.ID + "/logs"} {
		if r := admin.get(path).want(t, 200); strings.Contains(string(r.body), secret) {
			t.Errorf("%s contains the secret", path)
		}
	}
	for field, body := range map[string]object{
		"config.command":  {"name": "x", "config": object{"command": "no-such-program"}},
		"config.env.PATH": {"name": "x", "config": object{"command": "sh", "env": object{"PATH": "/tmp"}}},
		"config.argv":     {"name": "x", "config": object{"command": "sh", "argv": []string{}}},
		"slug":            {"name": "x", "slug": "No Slug", "config": object{"command": "sh"}},
		"transport":       {"name": "x", "transport": "carrier-pigeon", "config": object{"command": "sh"}},
	} {
		if f := admin.post("/v1/mcp-servers/", body).want(t, 400).failure(t); f.Code != "VALIDATION_ERROR" ||
			f.Details.Field != field {
			t.Errorf("%s: got error %+v", field, f)
		}
	}
	if f := admin.post("/v1/mcp-servers/",
		object{"name": "bad", "slug": "bad", "config": config}).want(t, 409).failure(t); f.Code != "CONFLICT" {
		t.Errorf("got error %+v, want CONFLICT", f)
	}
	// The database has it encrypted.
	s.terminate()
	_ = s.exitCode(t)
	for _, name := range []string{"agentarea.db", "agentarea.db-wal"} {
		if data, err := os.ReadFile(filepath.Join(s.dir, "data", name)); err == nil &&
			strings.Contains(string(data), secret) {
			t.Errorf("%s contains the secret", name)
		}
	}
}
