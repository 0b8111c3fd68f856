package pluginhost

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

func TestMaxMemory(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("max_memory works on Linux only")
	}
	timing := testTiming
	timing.MemoryEvery = 10 * time.Millisecond
	h := start(t, timing, block("a", "", `max_memory = "64MB"`))
	before := h.plugin(t, "a")
	if _, err := h.chat(t.Context(), "a", "hog", 0); sdk.AsError(err).Code != sdk.CodePluginCrashed {
		t.Errorf("chat = %v, want plugin_crashed", err)
	}
	p := h.running(t, "a", before.PID)
	if !strings.HasPrefix(p.LastError, "killed because it used ") ||
		!strings.Contains(p.LastError, "more than its max_memory of 64 MB") {
		t.Errorf("LastError = %q, want the limit and the memory that was used", p.LastError)
	}
	if text, err := h.chat(t.Context(), "a", "fine", 2); err != nil || text != "01" ||
		h.plugin(t, "a").State != core.PluginRunning {
		t.Errorf("chat after the restart = %q, %v, want 01", text, err)
	}
}

func TestLogLevel(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("loud", ""), block("quiet", "", `log_level = "error"`))
	env, err := h.chat(t.Context(), "quiet", "env", 0)
	if err != nil || !strings.Contains(env, "AGENTAREA_LOG_LEVEL=error\n") {
		t.Errorf("the environment of the plugin is %q, %v, want the level error", env, err)
	}
	// Each plugin logs a line of level info in Configure.
	await(t, "the line of loud", func() bool { return len(h.logs.lines(t, "configured")) > 0 })
	lines := h.logs.lines(t, "configured")
	if len(lines) != 1 || lines[0]["plugin"] != "llm/loud" {
		t.Errorf("the log has %v, want one line of llm/loud", lines)
	}
}
