package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/test/mcptest"
	"github.com/agentarea/agentarea/test/testenv"
)

// runNode runs a program with Node.js and returns its standard output.
func runNode(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, mcptest.Node(t), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s\n%s", args, err, out, stderr.String())
	}
	return string(out)
}

// everythingServer starts a server that runs the MCP server server-everything from npm.
func everythingServer(t *testing.T) (*client, mcpServer) {
	t.Helper()
	c := start(t, pluginsHCL("http://127.0.0.1:1/v1")+stdioPlugin).signIn()
	s := c.newMCPServer("everything", npmServer(t, "mcp-server-everything"))
	return c, c.waitMCPServer(s.ID, "the MCP server to run", running)
}

// The official TypeScript SDK works through the gateway, with all its features.
func TestMCPWithTypeScriptSDK(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	c, server := everythingServer(t)
	dir := t.TempDir()
	source, err := os.ReadFile("../mcptest/client/client.mjs")
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "client.mjs")
	if err := os.WriteFile(script, source, 0o600); err != nil {
		t.Fatal(err)
	}
	// Node.js looks for imports in this folder.
	if err := os.Symlink(mcptest.Modules(t), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	results := map[string]string{}
	for line := range strings.Lines(runNode(t, script, server.URL, c.token)) {
		var one struct {
			Name  string
			Value json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		results[one.Name] = string(one.Value)
	}
	for name, want := range map[string]string{
		"server": "everything", "tools": "get-sum", "echo": "hello", "sum": "42", "long": "completed", "progress": "4",
		"cancel": `"cancelled"`, "sampling": "a sampled answer", "elicitation": "declin", "resource": "1",
	} {
		if !strings.Contains(results[name], want) {
			t.Errorf("%s: got %s, want %s", name, results[name], want)
		}
	}
	if results["prompts"] == "" || results["prompts"] == "0" {
		t.Errorf("got %q prompts, want some", results["prompts"])
	}
}

// MCP's inspector works with the URL that the API returns, for several servers from npm.
func TestMCPWithInspector(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	c, everything := everythingServer(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hello.txt"), []byte("well met"), 0o600); err != nil {
		t.Fatal(err)
	}
	inspect := func(s mcpServer, args ...string) string {
		t.Helper()
		return runNode(t, append([]string{
			mcptest.Script(t, "mcp-inspector"), "--cli", s.URL, "--transport",
			"http", "--header", "Authorization: Bearer " + c.token,
		}, args...)...)
	}
	if out := inspect(everything, "--method", "tools/call", "--tool-name", "get-sum", "--tool-arg", "a=40",
		"--tool-arg", "b=2"); !strings.Contains(out, "42") {
		t.Errorf("get-sum returns %s, want 42", out)
	}
	for _, one := range []struct {
		slug   string
		config object
		args   []string
		want   string
	}{
		{"files-here", npmServer(t, "mcp-server-filesystem", dir), []string{"--method", "tools/call", "--tool-name", "read_text_file", "--tool-arg", "path=" + filepath.Join(dir, "hello.txt")}, "well met"},
		{"memory", npmServer(t, "mcp-server-memory"), []string{"--method", "tools/list"}, "create_entities"},
		{"thinking", npmServer(t, "mcp-server-sequential-thinking"), []string{"--method", "tools/list"}, "sequentialthinking"},
	} {
		s := c.newMCPServer(one.slug, one.config)
		c.waitMCPServer(s.ID, "the MCP server to run", running)
		if out := inspect(s, one.args...); !strings.Contains(out, one.want) {
			t.Errorf("%s: got %s, want %s", one.slug, out, one.want)
		}
	}
}

// bearer is a RoundTripper that adds an access token to each request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// A client of the revision 2026-07-28 works with a server that has older revisions only. A restart
// of the server fails the call that runs, and later calls succeed.
func TestMCPWithNewestRevision(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	c, server := everythingServer(t)
	connect := func() *mcp.ClientSession {
		s, err := mcp.NewClient(&mcp.Implementation{Name: "t", Version: "1"}, nil).Connect(t.Context(),
			&mcp.StreamableClientTransport{
				Endpoint: server.URL, HTTPClient: &http.Client{Transport: bearer(c.token)},
			}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	s := connect()
	if v := s.InitializeResult().ProtocolVersion; v != "2026-07-28" {
		t.Errorf("got revision %s, want 2026-07-28", v)
	}
	echo := func() error {
		r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "echo", Arguments: map[string]any{"message": "hello"}})
		if err == nil && r.IsError {
			t.Errorf("echo returns %+v", r)
		}
		return err
	}
	if err := echo(); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		close(begun)
		_, err := s.CallTool(t.Context(),
			&mcp.CallToolParams{Name: "trigger-long-running-operation", Arguments: map[string]any{"duration": 60, "steps": 1}})
		failed <- err
	}()
	<-begun
	c.post("/v1/mcp-servers/"+server.ID+"/restart", nil).want(t, 200)
	if err := <-failed; err == nil {
		t.Error("the call succeeds although its server was restarted")
	}
	c.waitMCPServer(server.ID, "the MCP server to run again",
		func(s mcpServer) bool { return running(s) && s.PID != server.PID })
	eventually(t, "a successful call", func() bool { return echo() == nil })
}
