package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// running waits until a plugin runs in a process other than pid, and returns its status.
func (h *testHost) running(t *testing.T, label string, pid int) core.Plugin {
	t.Helper()
	var p core.Plugin
	await(t, label+" is running again", func() bool {
		p = h.plugin(t, label)
		return p.State == core.PluginRunning && p.PID != pid
	})
	return p
}

func TestCrashDuringAnswer(t *testing.T) {
	t.Parallel()
	// The host neither needs a health check to detect the crash, nor waits before the first restart.
	h := start(t, noTimers, block("a", "", `config {`, `secret = "hunter2-hunter2"`, `}`), block("b", ""))
	a, b := h.plugin(t, "a"), h.plugin(t, "b")
	text, err := h.chat(t.Context(), "a", "crash", 3)
	if text != "012" {
		t.Errorf("got deltas %q before the crash, want 012", text)
	}
	var e *sdk.Error
	if !errors.As(err, &e) || e.Code != sdk.CodePluginCrashed {
		t.Fatalf("err = %v, want plugin_crashed", err)
	}
	if want := `plugin llm/a crashed`; e.Message != want {
		t.Errorf("message %q,\nwant     %q", e.Message, want)
	}
	if strings.Contains(e.Message, "hunter2") || strings.Contains(h.logs.String(), "hunter2") {
		t.Error("the secret is in a message or the log")
	}
	// The next call waits for the restart instead of failing.
	if text, err := h.chat(t.Context(), "a", "fine", 2); err != nil || text != "01" {
		t.Errorf("chat after the crash = %q, %v", text, err)
	}
	if p := h.running(t, "a", a.PID); p.Restarts != 1 || !strings.HasPrefix(p.LastError, "exit status 2; last stderr: ") {
		t.Errorf("a = %+v", p)
	}
	if p := h.plugin(t, "b"); p.PID != b.PID || p.Restarts != 0 || p.State != core.PluginRunning {
		t.Errorf("b was affected: %+v", p)
	}
	if !isReaped(a.PID) {
		t.Errorf("process %d has state %c, want no process", a.PID, processState(a.PID))
	}
}

func TestKilledProcess(t *testing.T) {
	t.Parallel()
	h := start(t, noTimers, block("a", ""))
	before := h.plugin(t, "a")
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "the exit is detected", func() bool { return h.plugin(t, "a").PID != before.PID })
	if p := h.running(t, "a", before.PID); !strings.HasPrefix(p.LastError, "signal: killed") {
		t.Errorf("LastError = %q", p.LastError)
	}
	if !isReaped(before.PID) {
		t.Errorf("process %d has state %c, want no process", before.PID, processState(before.PID))
	}
}

// The engine restarts a run only if the error is ErrPluginCrashed.
func TestAgentProcessKilledDuringRun(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, "plugin \"agent\" \"a\" {\n  command = \"badplugin\"\n  env = { BAD = \"agent\" }\n}")
	r, err := h.Agent(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Run(t.Context(), &agent.Run{ID: "run-1"}, handler(func() (*agent.Result, error) {
		return &agent.Result{}, syscall.Kill(h.plugin(t, "a").PID, syscall.SIGKILL)
	}))
	if !errors.Is(err, agent.ErrPluginCrashed) {
		t.Errorf("err = %v, want one that wraps ErrPluginCrashed", err)
	}
	if e := sdk.AsError(err); e.Code != sdk.CodePluginCrashed || e.Message != `plugin agent/a crashed` {
		t.Errorf("err = %+v", e)
	}
}

func TestHungProcessIsKilled(t *testing.T) {
	t.Parallel()
	timing := testTiming
	timing.HealthTimeout = 500 * time.Millisecond
	h := start(t, timing, block("a", ""), block("b", ""))
	a := h.plugin(t, "a")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := h.chat(ctx, "a", "freeze", 0); sdk.AsError(err).Code != sdk.CodeTimeout {
		t.Errorf("call on the hung process: got %v, want timeout", err)
	}
	if text, err := h.chat(t.Context(), "b", "fine", 2); err != nil || text != "01" {
		t.Errorf("chat on b meanwhile = %q, %v", text, err)
	}
	await(t, "a is running again", func() bool {
		p := h.plugin(t, "a")
		return p.State == core.PluginRunning && p.PID != a.PID
	})
	if p := h.plugin(t, "a"); !strings.HasPrefix(p.LastError, "killed after 3 unanswered health checks") {
		t.Errorf("LastError = %q", p.LastError)
	}
	if !isReaped(a.PID) {
		t.Errorf("process %d has state %c, want no process", a.PID, processState(a.PID))
	}
}

func TestHangDuringStart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, block string }{
		{"before the handshake", block("a", "freeze-at-start")},
		{"in Configure", block("a", "", `config {`, `refuse = "freeze"`, `}`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			timing := noTimers
			timing.Start = 700 * time.Millisecond
			h := start(t, timing, tt.block)
			want := fmt.Sprintf("killed because it was not ready within %s", timing.Start)
			if p := h.plugin(t, "a"); !strings.HasPrefix(p.LastError, want) {
				t.Errorf("LastError = %q, want %q", p.LastError, want)
			}
			if err := h.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCrashAtStartDoesNotFailTheHost(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	h := start(t, testTiming, block("once", "exit-once:"+mark), block("b", ""))
	p := h.running(t, "once", 0)
	if p.Restarts == 0 || !strings.HasPrefix(p.LastError, "it exited before it was ready (exit status 4)") {
		t.Errorf("once = %+v", p)
	}
	if len(h.logs.lines(t, "plugin exited")) == 0 {
		t.Error("the exit was not logged")
	}
}

// exitingPlugin returns the block of an llm plugin that exits at its start. path is the file of its notes.
func exitingPlugin(label, path string) string {
	return fmt.Sprintf("plugin \"llm\" %q {\n  command = \"badplugin\"\n  env = { BAD = \"exit\", BAD_NOTES = %q }\n}",
		label, path)
}

func TestCircuit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notes")
	timing := testTiming
	timing.Wait = time.Hour // a call does not wait for a plugin that is not restarted soon
	h := start(t, timing, block("a", "exit"), exitingPlugin("b", path))
	await(t, "the circuit opens", func() bool { return h.plugin(t, "b").State == core.PluginFailed })
	if got := len(notedValues(t, path, "start")); got != 5 {
		t.Errorf("got %d starts before the circuit opened, want 5", got)
	}
	_, err := h.chat(t.Context(), "b", "fine", 1)
	var ce *core.Error
	if !errors.As(err, &ce) || ce.Code != core.CodeUnavailable || ce.RetryAfter <= 0 {
		t.Fatalf("err = %v, want Unavailable with RetryAfter", err)
	}
	want := regexp.MustCompile(`^Plugin llm/b exited 5 times in 2 minutes; next restart at \d\d:\d\d:\d\d UTC\. ` +
		`An administrator finds the reason in the server's log and in GET /v1/plugins\.$`)
	if !want.MatchString(ce.Message) {
		t.Errorf("got message %q, want %s", ce.Message, want)
	}
	const reason = "it exited before it was ready (exit status 3); last stderr: no luck today"
	if got := h.plugin(t, "b").LastError; got != reason {
		t.Errorf("LastError = %q, want %q for administrators", got, reason)
	}
	if broken := h.Broken([]core.Dependency{{Type: "x", Model: "b/m"}}); len(broken) != 1 {
		t.Error("an agent of an unknown type is not broken")
	}
}

// While the circuit is open, there is one start per interval, and the circuit opens again at once.
func TestCircuit_halfOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notes")
	timing := testTiming
	timing.HalfOpen = 10 * time.Millisecond
	h := start(t, timing, exitingPlugin("b", path))
	await(t, "two half-open starts", func() bool { return len(notedValues(t, path, "start")) >= 7 })
	await(t, "the message of the open circuit", func() bool {
		_, err := h.chat(t.Context(), "b", "fine", 1)
		return strings.Contains(err.Error(), "exited again after a restart; next restart at")
	})
}

func TestLookUpWaitsForRestart(t *testing.T) {
	t.Parallel()
	timing := testTiming
	timing.Wait = 200 * time.Millisecond
	timing.Backoff = time.Minute
	h := start(t, timing, block("a", "exit"))
	begun := time.Now()
	_, err := h.chat(t.Context(), "a", "fine", 1)
	if core.CodeOf(err) != core.CodeUnavailable || time.Since(begun) < timing.Wait {
		t.Errorf("after %s: got %v", time.Since(begun), err)
	}
	if !strings.Contains(err.Error(), "Plugin llm/a is restarting. Try again shortly.") ||
		strings.Contains(err.Error(), "exit status") {
		t.Errorf("got %v, want an error without the reason", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.chat(ctx, "a", "fine", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled caller: got %v, want Canceled", err)
	}
}

func TestGrandchildHoldsStderr(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"grandchild", "escaped-grandchild"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "notes")
			h := start(t, noTimers, fmt.Sprintf(`plugin "llm" "a" {
  command = "badplugin"
  env     = { BAD = %q, BAD_NOTES = %q }
}`, mode, path))
			var grandchildren []int
			find := func() {
				grandchildren = nil
				for _, note := range notedValues(t, path, "grandchild") {
					pid, err := strconv.Atoi(strings.Fields(note)[0])
					if err != nil {
						t.Fatal(err)
					}
					grandchildren = append(grandchildren, pid)
				}
			}
			find()
			a := h.plugin(t, "a")
			if err := syscall.Kill(a.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			h.running(t, "a", a.PID)
			if mode == "grandchild" {
				await(t, "the first grandchild is dead", func() bool { return hasExited(grandchildren[0]) })
			}
			if err := h.Close(t.Context()); err != nil {
				t.Error(err)
			}
			find()
			for _, pid := range grandchildren {
				if mode == "grandchild" {
					await(t, "the grandchildren are dead", func() bool { return hasExited(pid) })
				} else if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Errorf("kill the escaped grandchild: %v", err)
				}
			}
		})
	}
}

func TestUnhealthyPluginKeepsRunning(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", "sick"))
	await(t, "the health error is reported", func() bool {
		return strings.Contains(h.plugin(t, "a").LastError, "I feel sick")
	})
	if p := h.plugin(t, "a"); p.State != core.PluginRunning || p.Restarts != 0 || !p.Unhealthy {
		t.Errorf("a = %+v, want it running and unhealthy", p)
	}
}

func TestRepeatedExitsOpenTheCircuit(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", "exit-after:150ms"))
	await(t, "the circuit opens", func() bool { return h.plugin(t, "a").State == core.PluginFailed })
	if p := h.plugin(t, "a"); !strings.Contains(p.LastError, "exit status 5") || p.PID != 0 || !p.StartedAt.IsZero() {
		t.Errorf("a = %+v", p)
	}
}

func TestSocketDirectoriesAreRemoved(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", ""), block("b", "exit"))
	dir := h.sockets.dir
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v; want mode 0700", info, err)
	}
	pid := h.plugin(t, "a").PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	h.running(t, "a", pid)
	await(t, "the circuit of b opens", func() bool { return h.plugin(t, "b").State == core.PluginFailed })
	await(t, "one directory is left", func() bool {
		left, err := filepath.Glob(filepath.Join(dir, "plugin-dir*"))
		return err == nil && len(left) == 1
	})
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket directory still exists: %v", err)
	}
}
