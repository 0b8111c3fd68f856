package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentarea/agentarea"
)

// shipped returns the shipped plugins.hcl. With examples it uncomments the examples in it.
func shipped(t *testing.T, examples bool) string {
	t.Helper()
	var b strings.Builder
	inside := false
	for line := range strings.Lines(string(agentarea.DefaultPlugins)) {
		text, commented := strings.CutPrefix(line, "# ")
		for _, start := range []string{"plugin \"", "plugin_dirs =", "file_backend ="} {
			inside = inside || examples && commented && strings.HasPrefix(text, start)
		}
		if inside {
			line = text
		}
		if text == "}\n" || !strings.HasPrefix(text, "plugin \"") && !strings.HasPrefix(text, " ") {
			inside = false
		}
		b.WriteString(line)
	}
	return b.String()
}

func TestShippedFile(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "")
	c := parse(t, shipped(t, false))
	var enabled []string
	for _, s := range c.Blocks {
		if s.Enabled {
			enabled = append(enabled, s.Name())
		}
	}
	if got := strings.Join(enabled, " "); got != "llm/echo agent/chat files/local mcp/stdio mcp/http mcp/sse" {
		t.Errorf("enabled plugins without a key: %s", got)
	}
	if s := c.Blocks[0]; !s.WouldServe("gpt-4") || s.WouldServe("claude-4") || s.Serves("gpt-4") {
		t.Errorf("disabled openai = %+v, want that it would serve gpt-4", s)
	}
	t.Setenv("OPENAI_API_KEY", "sk-1")
	if s := parse(t, shipped(t, false)).Blocks[0]; !s.Enabled || !s.Serves("gpt-5") || !s.Serves("o3-mini") ||
		s.Serves("olmo") {
		t.Errorf("openai = %+v", s)
	}
}

func TestShippedFile_examples(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-1")
	src := shipped(t, true)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "keys", "mine"), []byte("k"), 0o600); err != nil {
		t.Fatal(err)
	}
	src = strings.ReplaceAll(src, `file("keys/mine")`, `file("`+filepath.Join(dir, "keys", "mine")+`")`)
	c := parse(t, src)
	if len(c.Blocks) != 13 || len(c.PluginDirs) != 1 || c.FileBackend != "local" {
		t.Errorf("got %d blocks, plugin_dirs %q, file_backend %q, want 13, one folder and local",
			len(c.Blocks), c.PluginDirs, c.FileBackend)
	}
}
