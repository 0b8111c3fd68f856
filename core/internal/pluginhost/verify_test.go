package pluginhost

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/config"
)

// kindBlock returns the block of a plugin that misbehaves according to mode. Its config has a secret.
func kindBlock(kind, label, mode string) string {
	return fmt.Sprintf("plugin %q %q {\n  command = \"badplugin\"\n  env = { BAD = %q }\n  config {\n    secret = \"hunter22\"\n  }\n}",
		kind, label, mode)
}

// unusablePlugins are blocks of plugins that start but cannot work, and the reasons.
func unusablePlugins(t *testing.T) map[string]struct{ kind, mode, reason string } {
	t.Helper()
	mark := filepath.Join(t.TempDir(), "mark")
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]struct{ kind, mode, reason string }{
		"refused key":       {"llm", "refused-while:" + mark, "the key *** was refused"},
		"no credentials":    {"files", "files:unauthorized", "no bucket for ***"},
		"no bucket":         {"files", "files:unavailable", "no bucket for ***"},
		"invalid schema":    {"agent", `agent:{"type":"strin"}`, "the config schema of the agent type does not compile"},
		"missing reference": {"agent", `agent:{"$ref":"#/$defs/none"}`, "the config schema of the agent type does not compile"},
		"other document":    {"agent", `agent:{"$ref":"https://example.com/a.json"}`, "other documents are not loaded"},
	}
}

// A reload and its plan fail for a plugin that starts but cannot work. The error has the reason and the line.
func TestReload_unusablePlugin(t *testing.T) {
	t.Parallel()
	plugins := unusablePlugins(t)
	plugins["schema that is not JSON"] = struct{ kind, mode, reason string }{
		"agent", "agent:{", "the schema of the agent type is not valid JSON",
	}
	for name, p := range plugins {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, testTiming, block("kept", ""))
			before := h.pids()
			h.write(t, block("kept", ""), kindBlock(p.kind, "new", p.mode))
			for what, reload := range map[string]func() (*core.PluginReload, error){
				"PlanReload": func() (*core.PluginReload, error) { return h.PlanReload(t.Context(), core.ReloadOptions{}) },
				"Reload":     func() (*core.PluginReload, error) { return h.Reload(t.Context(), core.ReloadOptions{Force: true}) },
			} {
				_, err := reload()
				want := fmt.Sprintf("%s:9,3-9: Plugin %s/new cannot work; ", h.file, p.kind)
				if issues := fieldsOf(err); core.CodeOf(err) != core.CodeValidation || !strings.HasPrefix(issues, want) ||
					!strings.Contains(issues, p.reason) {
					t.Errorf("%s() = %v %s, want %s%s", what, err, issues, want, p.reason)
				}
			}
			if after := h.pids(); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("processes %v, want %v", after, before)
			}
		})
	}
}

// The network, the process and missing data say nothing about the config, so they do not fail a reload.
func TestReload_unreachable(t *testing.T) {
	t.Parallel()
	for name, p := range map[string][2]string{
		"provider":      {"llm", "unreachable"},
		"file backend":  {"files", "files:retryable"},
		"timeout":       {"files", "files:timeout"},
		"plain error":   {"files", "files:internal"},
		"missing file":  {"files", "files"},
		"sick provider": {"llm", "sick"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, testTiming)
			h.write(t, kindBlock(p[0], "new", p[1]))
			if r := h.reload(t); len(r.Started) != 1 {
				t.Errorf("reload = %+v, want one started plugin", r)
			}
		})
	}
}

// A server starts with plugins that cannot work. They are unhealthy, and get well without a restart.
func TestStart_unusablePlugin(t *testing.T) {
	t.Parallel()
	for name, p := range unusablePlugins(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timing := testTiming
			timing.HealthEvery = time.Hour // the first check does not wait for the interval
			h := start(t, timing, kindBlock(p.kind, "a", p.mode))
			await(t, "the plugin is unhealthy", func() bool { return h.plugin(t, "a").Unhealthy })
			if got := h.plugin(t, "a"); got.State != core.PluginRunning || !strings.Contains(got.LastError, p.reason) {
				t.Errorf("plugin = %+v, want running with the error %q", got, p.reason)
			}
			err := h.Verify(t.Context())
			var bad *config.Error
			if !errors.As(err, &bad) || len(bad.Problems) != 1 ||
				!strings.HasPrefix(err.Error(), "plugins.hcl:4,3-9: Plugin "+p.kind+"/a cannot work; ") {
				t.Errorf("Verify() = %v, want one problem at line 4", err)
			}
		})
	}
}

func TestStart_keyAcceptedLater(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	timing := testTiming
	timing.ModelsFresh = 10 * time.Millisecond
	h := start(t, timing, kindBlock("llm", "a", "refused-while:"+mark))
	await(t, "the plugin is unhealthy", func() bool { return h.plugin(t, "a").Unhealthy })
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	await(t, "the plugin is healthy", func() bool { return !h.plugin(t, "a").Unhealthy })
	if err := h.Verify(t.Context()); err != nil {
		t.Errorf("Verify() = %v, want no error", err)
	}
}

// Verify reports the plugin's own health at once.
func TestVerify_sickPlugin(t *testing.T) {
	t.Parallel()
	timing := testTiming
	timing.HealthEvery = time.Hour
	h := start(t, timing, block("a", "sick"))
	if err := h.Verify(t.Context()); err != nil {
		t.Errorf("Verify() = %v, want no error", err)
	}
	if p := h.plugin(t, "a"); !p.Unhealthy || p.LastError != "unhealthy: unavailable: I feel sick" {
		t.Errorf("plugin = %+v, want unhealthy", p)
	}
}
