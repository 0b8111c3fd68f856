package e2e_test

import (
	"strings"
	"syscall"
	"testing"
)

// A plugin that agents, tasks, files or MCP servers still need is only removed with confirmation. Watching the file and
// SIGHUP do not confirm.
func TestPluginRemovalNeedsConfirmation(t *testing.T) {
	t.Parallel()
	more := `
plugin "llm" "more" {
  command = "llm-echo"
}
plugin "mcp" "http" {
  command = "mcp-http"
}
`
	s := newServer(t, reloadPlugins(0, more))
	s.env = append(s.env, "AGENTAREA_WATCH_CONFIG=true")
	s.start()
	c := s.signIn()
	agent := c.newAgent("more/echo")
	c.newAgent("echo/echo")
	c.newTask(agent, "/tokens 1000 /delay 1s wait")
	c.post("/v1/mcp-servers/", object{
		"name": "wiki", "transport": "http", "auto_start": false, "config": object{"url": "https://example.com/mcp"},
	}).want(t, 201)
	before := c.plugin("llm", "more")

	s.writePlugins(reloadPlugins(0, ""))
	refused := func() int {
		return strings.Count(s.stderr.String(), "reloading plugins failed, keeping the previous plugins")
	}
	eventually(t, "the refusal of the changed file", func() bool { return refused() > 0 })
	n := refused()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the refusal of SIGHUP", func() bool { return refused() > n })
	wants := []string{
		`Plugin llm/more is in use by 1 agent ("an agent") and 1 unfinished task ("/tokens 1000 /delay 1s wait").`,
		`Plugin mcp/http is in use by 1 MCP server ("wiki").`, "?force=true", "agentarea plugins reload --force",
	}
	env := []string{"AGENTAREA_URL=" + s.url, "AGENTAREA_ADMIN_PASSWORD=" + adminPassword}
	reload := func(args ...string) (int, string) {
		t.Helper()
		p := run(t, s.dir, env, append([]string{"plugins", "reload"}, args...)...)
		return p.exitCode(t), p.stdout.String() + p.stderr.String()
	}
	code, out := reload("--dry-run")
	if code != 1 {
		t.Errorf("plugins reload --dry-run: got exit code %d, want 1", code)
	}
	for _, want := range wants {
		for where, text := range map[string]string{
			"the log":         strings.ReplaceAll(s.stderr.String(), `\"`, `"`),
			"plugins reload":  out,
			"reload":          c.post("/v1/plugins/reload", nil).want(t, 409).failure(t).Message,
			"reload, dry run": c.post("/v1/plugins/reload?dry_run=true", nil).want(t, 409).failure(t).Message,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: got %s, want %s", where, text, want)
			}
		}
	}
	if p := c.plugin("llm", "more"); p.State != "running" || p.PID != before.PID {
		t.Errorf("got plugin %+v, want the process %d", p, before.PID)
	}
	if got := c.chat(agent, "s", "Hello").Message; got != "Hello" {
		t.Errorf("got the answer %q, want Hello", got)
	}

	if code, out := reload("--force", "--dry-run"); code != 0 || !strings.Contains(out, "stopped   llm/more, mcp/http") {
		t.Errorf("plugins reload --force --dry-run: got exit code %d and %s, want the stopped plugins", code, out)
	}
	if code, out := reload("--force"); code != 0 || !strings.Contains(out, "generation 2") {
		t.Errorf("plugins reload --force: got exit code %d and %s, want generation 2", code, out)
	}
	if r := string(c.get("/v1/plugins").want(t, 200).body); strings.Contains(r, `"more"`) {
		t.Errorf("got plugins %s, want none with the label more", r)
	}
	if r := c.post("/v1/agents/"+agent+"/chat", object{"message": "Hello"}); !strings.Contains(string(r.body),
		`Model \"more/echo\" is not available`) {
		t.Errorf("got status %d and %s, want an error with the model", r.status, r.body)
	}
}
