package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/test/testenv"
)

// command runs the agentarea command, waits until it has ended, and returns its output.
func command(t *testing.T, dir string, args ...string) (code int, out string) {
	t.Helper()
	p := run(t, dir, nil, args...)
	code = p.exitCode(t)
	return code, p.stdout.String() + p.stderr.String()
}

func TestPluginCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "plugins.hcl")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`# kept
require_checksums = true
plugin "agent" "chat" {
  command = "agent-chat"
}
plugin "llm" "echo" {
  command = "llm-echo" # kept, too
  config {}
}
plugin "files" "none" {
  enabled = false
}
`)
	steps := []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"plugins", "check"}, 1, []string{"plugins.hcl:3,1-22: Missing sha256", "plugins.hcl:6,1-20: Missing sha256", "agentarea plugins lock"}},
		{[]string{"plugins", "list"}, 0, []string{"agent  chat   yes      no", "files  none   no"}},
		{[]string{"plugins", "lock"}, 0, []string{"agent/chat", "llm/echo"}},
		{[]string{"plugins", "lock"}, 0, []string{"pinned already"}},
		{[]string{"plugins", "list"}, 0, []string{"agent  chat   yes      yes"}},
		{[]string{"plugins", "check"}, 0, []string{"agent/chat", "running", "files/none", "disabled"}},
		{[]string{"plugins", "check", "--config", "none.hcl"}, 1, []string{"none.hcl"}},
		{[]string{"plugins", "describe", filepath.Join(testenv.Binaries(t), "llm-openai")}, 0, []string{"# llm-openai 0.1.0: Models of OpenAI, and of any", `plugin "llm" "openai" {`, `base_url = "https://api.openai.com/v1"`, `api_key = env("API_KEY")`}},
		{[]string{"plugins", "describe", "/bin/true"}, 1, []string{"it exited before it was ready"}},
		{[]string{"plugins", "describe", "nothing-here"}, 1, []string{"nothing-here"}},
		{[]string{"plugins", "test", filepath.Join(testenv.Binaries(t), "agent-chat")}, 0, []string{"--- PASS: Plugin/Replay", "PASS"}},
		{[]string{"plugins", "test", "/bin/true"}, 1, []string{"--- FAIL: Plugin"}},
		{[]string{"plugins", "test", "nothing-here"}, 1, []string{"BINARY"}},
	}
	for _, s := range steps {
		code, out := command(t, dir, s.args...)
		if code != s.code {
			t.Errorf("%v: got exit code %d, want %d:\n%s", s.args, code, s.code, out)
		}
		for _, w := range s.want {
			if !strings.Contains(out, w) {
				t.Errorf("%v: the output does not contain %q:\n%s", s.args, w, out)
			}
		}
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), "# kept\n") || strings.Count(string(text), "kept, too") != 1 {
		t.Errorf("plugins lock has changed more than the checksums (%v):\n%s", err, text)
	}
}
