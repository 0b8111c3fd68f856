package pluginhost

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

func TestStartReportsConfigErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "not-executable"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256Of(t, filepath.Join(binDir, "badplugin"))
	tests := []struct{ name, hcl, want string }{
		{
			"no such command",
			`plugin "llm" "a" {
  command = "badplugn"
}`,
			`plugins.hcl:2,3-10: Command "badplugn" not found; searched in ` + binDir +
				`, DIR (build it there, or add its directory to plugin_dirs)`,
		},
		{
			"not executable",
			`plugin "llm" "a" {
  command = "not-executable"
}`,
			`plugins.hcl:2,3-10: Invalid command; DIR/not-executable is not executable (chmod +x DIR/not-executable)`,
		},
		{
			"checksum",
			`plugin "llm" "a" {
  command = "badplugin"
  sha256  = "` + strings.Repeat("0", 64) + `"
}`,
			`plugins.hcl:3,3-9: Wrong checksum; ` + binDir + `/badplugin has ` + sum +
				` (if you replaced the file on purpose, run agentarea plugins lock)`,
		},
		{
			"kind",
			`plugin "agent" "a" {
  command = "badplugin"
}`,
			`plugins.hcl:1,1-19: Wrong kind; badplugin is a plugin of kind llm (write plugin "llm" "a")`,
		},
		{
			"unknown attribute",
			`plugin "llm" "a" {
  command = "badplugin"
  config {
    limits = 1
  }
}`,
			`plugins.hcl:4,5-11: Unknown name "limits"; the config of badplugin has the settings refuse, secret, limit (did you mean limit?)`,
		},
		{
			"wrong type",
			`plugin "llm" "a" {
  command = "badplugin"
  config {
    refuse = 5
  }
}`,
			`plugins.hcl:4,5-11: Wrong type; refuse must be a string, not a number (write it in quotes)`,
		},
		{
			"two plugins have errors",
			`plugin "llm" "a" {
  command = "badplugin"
  config {
    limit  = 2
    refuse = "this"
  }
}
plugin "llm" "fine" {
  command = "badplugin"
}
plugin "llm" "b" {
  command = "gone"
}`,
			`plugins.hcl:5,5-11: refused; Take the line out
plugins.hcl:12,3-10: Command "gone" not found; searched in ` + binDir +
				`, DIR (build it there, or add its directory to plugin_dirs)`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newTestHost(t, testTiming)
			cfg := parse(t, tt.hcl)
			cfg.PluginDirs = []string{dir}
			err := h.Start(t.Context(), cfg)
			var cerr *config.Error
			if !errors.As(err, &cerr) {
				t.Fatalf("err = %v, want a *config.Error", err)
			}
			if want := strings.ReplaceAll(tt.want, "DIR", dir); err.Error() != want {
				t.Errorf("got:\n%s\nwant:\n%s", err, want)
			}
			for _, r := range h.logs.lines(t, "plugin started") {
				if pid := int(r["pid"].(float64)); !isReaped(pid) {
					t.Errorf("plugin %v is still running", pid)
				}
			}
		})
	}
}

func sha256Of(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestPinnedBinaryAndScriptRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec "+binDir+"/badplugin\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	h := newTestHost(t, testTiming)
	cfg := parse(t, fmt.Sprintf(`
plugin "llm" "binary" {
  command = "badplugin"
  sha256  = %q
}
plugin "llm" "script" {
  command   = "script"
  sha256    = %q
  auto_mtls = false
}`, sha256Of(t, filepath.Join(binDir, "badplugin")), sha256Of(t, script)))
	cfg.PluginDirs = []string{dir}
	if err := h.Start(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"binary", "script"} {
		if text, err := h.chat(t.Context(), label, "fine", 2); err != nil || text != "01" {
			t.Errorf("%s: %q, %v", label, text, err)
		}
	}
}

func TestPathIsNotSearched(t *testing.T) {
	t.Parallel()
	err := newTestHost(t, testTiming).Start(t.Context(), parse(t, `plugin "llm" "a" { command = "sh" }`))
	if err == nil || !strings.Contains(err.Error(), `Command "sh" not found`) {
		t.Errorf("err = %v", err)
	}
}

func TestHeapLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ server, maxMemory, want int64 }{
		{math.MaxInt64, 0, 0}, {500, 0, 100}, {math.MaxInt64, 1000, 800}, {500, 1000, 100}, {500, 100, 80},
	} {
		if got := heapLimit(c.server, c.maxMemory); got != c.want {
			t.Errorf("heapLimit(%d, %d) = %d, want %d", c.server, c.maxMemory, got, c.want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("AGENTAREA_SECRET_KEY", "top")
	t.Setenv("AWS_REGION", "mars")
	t.Setenv("LANG", "C")
	t.Setenv("AGENTAREA_PLUGIN", "forged")
	h := start(t, testTiming, block("a", "", `pass_env = ["AWS_REGION", "NOT_SET"]`))
	text, err := h.chat(t.Context(), "a", "env", 0)
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{
		"AGENTAREA_LOG_LEVEL", "AGENTAREA_PLUGIN", "AWS_REGION", "BAD", "GOMEMLIMIT",
		"PLUGIN_CLIENT_CERT", "PLUGIN_MAX_PORT", "PLUGIN_MIN_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_UNIX_SOCKET_DIR",
	}
	// The certificate spans several lines.
	text = regexp.MustCompile(`(?s)-----BEGIN.*?-----END CERTIFICATE-----`).ReplaceAllString(text, "…")
	got := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found {
			got[name] = value
		}
	}
	for name := range got {
		if !slices.Contains(allowed, name) && !slices.Contains(passedEnv, name) {
			t.Errorf("the plugin received %s", name)
		}
	}
	if got["AWS_REGION"] != "mars" || got["LANG"] != "C" || got["AGENTAREA_LOG_LEVEL"] != "debug" ||
		got["AGENTAREA_PLUGIN"] == "forged" {
		t.Errorf("got environment %v", got)
	}
}

func TestOutputBeforeHandshake(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", "stdout"))
	if text, err := h.chat(t.Context(), "a", "fine", 2); err != nil || text != "01" {
		t.Errorf("chat: %q, %v", text, err)
	}
	lines := h.logs.lines(t, "hello, I am a plugin")
	if len(lines) != 1 || lines[0]["level"] != "WARN" || lines[0]["plugin"] != "llm/a" {
		t.Errorf("got log records %v", lines)
	}
}

func TestGarbageInsteadOfHandshake(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", "garbage"))
	if p := h.plugin(t, "a"); p.State == core.PluginRunning ||
		!strings.HasPrefix(p.LastError, "Unrecognized remote plugin message") {
		t.Errorf("a = %+v", p)
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", "flood"))
	await(t, "the last line", func() bool { return len(h.logs.lines(t, "the last one")) == 1 })
	last := h.logs.lines(t, "the last one")[0]
	if last["run_id"] != "run-1" || last["plugin"] != "llm/a" || last["level"] != "WARN" || last["plugin_msg"] != "own" {
		t.Errorf("got last line %v", last)
	}
	if got := len(h.logs.lines(t, "line")); got != 20_000 {
		t.Errorf("got %d lines, want 20000", got)
	}
	if odd := h.logs.lines(t, "5"); len(odd) != 1 || odd[0]["run_id"] != `{"odd":true}` {
		t.Errorf("line with unusual types: got %v", odd)
	}
	var long, plain int
	for line := range strings.Lines(h.logs.String()) {
		if len(line) > maxRecord+1000 {
			t.Errorf("got a line of %d bytes", len(line))
		}
		if strings.Contains(line, "aaaa") && strings.Contains(line, `"level":"INFO"`) &&
			strings.Contains(line, "… (71680 bytes)") {
			long++
		}
		if strings.Contains(line, "bbbb") && strings.Contains(line, "… (1048576 bytes)") {
			plain++
		}
	}
	if long != 1 || plain != 1 {
		t.Errorf("got %d truncated lines of 70 KiB and %d of 3 MiB, want one each", long, plain)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notes")
	h := start(t, testTiming,
		block("one", "", `models = ["gpt-*", "exact", "bad-1"]`),
		fmt.Sprintf(
			"plugin \"llm\" \"two\" {\n  command = \"badplugin\"\n  env = { BAD_NOTES = %q }\n  models = [\"gpt-5\", \"o?\"]\n}", path,
		),
		block("off", "", `enabled = env("NO_SUCH_KEY") != ""`),
		block("openai", "", `enabled = env("NO_OTHER_KEY") != ""`+"\n"+`models = ["claude-*"]`))
	await(t, "the check of the provider's key", func() bool { return len(notedValues(t, path, "list")) == 1 })
	for _, tt := range []struct{ model, label, name string }{
		{"two/gpt-5", "two", "gpt-5"},
		{"gpt-5", "one", "gpt-5"},
		{"o3", "two", "o3"},
		{"one/a/b", "one", "a/b"},
	} {
		label, name, p, err := h.Provider(t.Context(), tt.model)
		if err != nil || label != tt.label || name != tt.name || p == nil {
			t.Errorf("%s: %s, %s, %v", tt.model, label, name, err)
		}
	}
	if calls := notedValues(t, path, "list"); len(calls) != 1 {
		t.Error("a provider listed its models although a pattern matched")
	}
	for _, model := range []string{"bad-1", "bad/2", "bad-1"} {
		if label, name, _, err := h.Provider(t.Context(), model); err != nil || label != "one" || name != model {
			t.Errorf("%s: %s, %s, %v", model, label, name, err)
		}
	}
	const enableOff = " To enable llm/off, start the server with NO_SUCH_KEY."
	const enableOpenAI = " To enable OpenAI, start the server with NO_OTHER_KEY."
	for model, hints := range map[string]string{
		"off/x": enableOff, "claude-4": enableOpenAI, "openai/x": enableOpenAI, "nothing": enableOff + enableOpenAI,
		"": enableOff + enableOpenAI,
	} {
		err := h.CheckModel(t.Context(), "model", model)
		var ce *core.Error
		if !errors.As(err, &ce) || ce.Code != core.CodeValidation {
			t.Fatalf("CheckModel(%q) = %v", model, err)
		}
		want := core.FieldError{Field: "model", Issue: fmt.Sprintf("Model %q is not available. "+
			"Available models: one/bad-1, one/bad/2, gpt-* (one), exact (one), two/bad-1, two/bad/2, gpt-5 (two), o? (two)."+
			"%s", model, hints)}
		if ce.Fields[0] != want {
			t.Errorf("got  %v\nwant %v", ce.Fields[0], want)
		}
	}
	if calls := notedValues(t, path, "list"); len(calls) != 1 {
		t.Errorf("the provider listed its models %d times, want once", len(calls))
	}
	models := h.Models(t.Context())
	if len(models) != 4 || models[0].ID != "one/bad-1" || models[0].ProviderID != "bad-1" ||
		models[0].ContextWindow != 100 || models[3].Provider != "two" {
		t.Errorf("Models = %+v", models)
	}
}

func TestModelsOfCrashedProviderAreCached(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", ""))
	label, _, p, err := h.Provider(t.Context(), "bad-1")
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	if _, err := p.Chat(t.Context(), request("crash", n), &texts{}); err == nil || label != "a" {
		t.Fatalf("label %q, err %v", label, err)
	}
	if _, _, _, err := h.Provider(t.Context(), "bad-1"); err != nil {
		t.Errorf("after the crash: %v", err)
	}
}

func TestProvider_noLLMPlugin(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming)
	_, _, _, err := h.Provider(t.Context(), "gpt-5")
	var ce *core.Error
	if !errors.As(err, &ce) || ce.Fields[0].Field != "config.model" ||
		!strings.Contains(ce.Fields[0].Issue, "no LLM provider is enabled") {
		t.Errorf("err = %v", err)
	}
}

func TestProvider_listFails(t *testing.T) {
	t.Parallel()
	timing := testTiming
	timing.Wait = 100 * time.Millisecond
	timing.Backoff = time.Minute
	h := start(t, timing, block("a", ""), block("b", "exit"))
	if err := h.CheckModel(t.Context(), "model", "bad-1"); err != nil {
		t.Errorf("model of the other provider: %v", err)
	}
	err := h.CheckModel(t.Context(), "model", "x")
	if core.CodeOf(err) != core.CodeUnavailable || !strings.Contains(err.Error(), `b (Plugin llm/b is restarting`) {
		t.Errorf("err = %v", err)
	}
}

func request(model string, n int64) *llm.Request {
	return &llm.Request{Model: model, Parameters: llm.Parameters{MaxTokens: &n}}
}

// sendFunc is called for each delta.
type sendFunc func()

func (f sendFunc) Send(llm.Delta) error {
	f()
	return nil
}

func TestAgentTypes(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("p", "unreachable"), agentBlock("chat"),
		"plugin \"agent\" \"off\" {\n  enabled = false\n}")
	types := h.AgentTypes()
	if len(types) != 1 || types[0].Type != "chat" || string(types[0].ConfigSchema) != `{"type":"object"}` ||
		!types[0].Available || types[0].Description != "Misbehaves." {
		t.Errorf("AgentTypes = %+v", types)
	}
	r, err := h.Agent(t.Context(), "chat")
	if err != nil {
		t.Fatal(err)
	}
	// A forwarded error about another plugin's crash is not a crash of this plugin.
	crash := &sdk.Error{Code: sdk.CodePluginCrashed, Message: "another one crashed", Retryable: true}
	_, err = r.Run(t.Context(), &agent.Run{ID: "run-1"}, handler(func() (*agent.Result, error) { return nil, crash }))
	if e := sdk.AsError(err); *e != *crash {
		t.Errorf("err = %v, want the forwarded error", err)
	}
	for label, want := range map[string]string{
		"off":  `Plugin agent/off is disabled`,
		"gone": `Agent plugin "gone" is not in plugins.hcl. Available agent plugins: chat.`,
	} {
		if _, err := h.Agent(t.Context(), label); core.CodeOf(err) != core.CodeUnavailable ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", label, err)
		}
	}
	all := []core.Dependency{
		{Type: "chat"}, {Type: "chat", Model: "p/x"}, {Type: "chat", Model: "unknown"}, {Type: "off"}, {Type: "chat2"},
	}
	if broken := h.Broken(all); !slices.Equal(broken, all[3:]) {
		t.Errorf("Broken = %v, want only those without an agent type, because p cannot list its models", broken)
	}
	h = start(t, testTiming, block("p", ""), agentBlock("chat"))
	h.Models(t.Context())
	if broken := h.Broken(all[:3]); !slices.Equal(broken, all[2:3]) {
		t.Errorf("Broken = %v, want the agent of the unlisted model", broken)
	}
}

type handler func() (*agent.Result, error)

func (h handler) Handle(context.Context, *agent.Call) (*agent.Result, error) { return h() }

func TestPlugins(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("b", ""), block("off", "", "enabled = false"), block("a", ""))
	plugins := h.Plugins()
	if len(plugins) != 3 || plugins[0].Label != "b" || plugins[1].State != core.PluginDisabled || plugins[2].Label != "a" {
		t.Fatalf("Plugins = %+v", plugins)
	}
	p := plugins[0]
	if p.Kind != "llm" || p.Name != "badplugin" || p.Version != "1.2.3" || p.State != core.PluginRunning || p.PID == 0 ||
		p.StartedAt.IsZero() {
		t.Errorf("b = %+v", p)
	}
}

func TestCloseWaitsForCalls(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", ""))
	pid := h.plugin(t, "a").PID
	var wg sync.WaitGroup
	_, _, p, err := h.Provider(t.Context(), "a/slow")
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{})
	wg.Go(func() {
		r := request("slow", 1)
		r.Stream = true
		if _, err := p.Chat(t.Context(), r, sendFunc(func() { close(begun) })); err != nil {
			t.Errorf("an active call failed: %v", err)
		}
	})
	<-begun
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if !isReaped(pid) {
		t.Errorf("process %d is still running", pid)
	}
	if _, err := h.Agent(t.Context(), "x"); core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("Agent after Close: %v", err)
	}
	if _, err := h.chat(t.Context(), "a", "fine", 1); core.CodeOf(err) != core.CodeUnavailable {
		t.Errorf("Provider after Close: %v", err)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestCloseCancelsCallsAfterItsContext(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", ""))
	_, _, p, err := h.Provider(t.Context(), "a/wait")
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{})
	result := make(chan error)
	go func() {
		r := request("wait", 1)
		r.Stream = true
		_, err := p.Chat(context.Background(), r, sendFunc(func() { close(begun) }))
		result <- err
	}()
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := h.Close(ctx); err == nil || err.Error() != "canceled plugin calls: 1" {
		t.Errorf("Close: %v", err)
	}
	if e := sdk.AsError(<-result); e.Code != sdk.CodePluginCrashed {
		t.Errorf("canceled call: got %v", e)
	}
}

func TestLookUpsDuringRestarts(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", "", `models = ["*"]`))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 30 {
				if _, err := h.chat(t.Context(), "a", "fine", 1); err != nil && sdk.AsError(err).Code != sdk.CodePluginCrashed {
					t.Errorf("chat: %v", err)
				}
				h.Plugins()
				h.Models(t.Context())
				h.Broken([]core.Dependency{{Type: "x", Model: "y"}})
			}
		})
	}
	for range 2 {
		_, _ = h.chat(t.Context(), "a", "crash", 0)
	}
	wg.Wait()
}
