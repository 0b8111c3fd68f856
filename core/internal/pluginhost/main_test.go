package pluginhost

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/sdk/llm"
)

// binDir holds badplugin.
var binDir string

func TestMain(m *testing.M) {
	if os.Getenv("PLUGINHOST_TEST_HELPER") != "" {
		helper()
		return
	}
	dir, err := os.MkdirTemp("", "pluginhost-test-")
	if err != nil {
		panic(err)
	}
	binDir = dir
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "badplugin"), "./testdata/badplugin")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build badplugin:", err)
		os.Exit(1)
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// testTiming holds timeouts that are short enough for tests.
var testTiming = Timing{
	Stop: 2 * time.Second, Exit: 500 * time.Millisecond,
	HealthEvery: 100 * time.Millisecond, HealthTimeout: 2 * time.Second, Wait: 15 * time.Second,
	Backoff: 50 * time.Millisecond,
}

// noTimers holds intervals and delays that end after the test. With them, a test shows that something
// happens at once, and not when a timer ends.
var noTimers = Timing{
	Wait: time.Hour, Handshake: time.Hour, Start: time.Hour, Stop: time.Hour, Exit: time.Hour,
	HealthEvery: time.Hour, Backoff: time.Hour, BackoffMax: time.Hour, CircuitWindow: time.Hour, HalfOpen: time.Hour,
}

// logs collects JSON log records.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// lines returns the records with the given message.
func (l *logs) lines(t *testing.T, message string) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []map[string]any
	for line := range strings.Lines(l.buf.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("bad line %q: %v", line, err)
		}
		if record["msg"] == message {
			out = append(out, record)
		}
	}
	return out
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// testHost is a Host with its log.
type testHost struct {
	*Host
	logs *logs
	// file is the plugins.hcl that a reload reads.
	file string
}

// write replaces the content of plugins.hcl.
func (h *testHost) write(t *testing.T, blocks ...string) {
	t.Helper()
	if err := os.WriteFile(h.file, []byte(strings.Join(blocks, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

func newTestHost(t *testing.T, timing Timing) *testHost {
	t.Helper()
	l := &logs{}
	file := filepath.Join(t.TempDir(), "plugins.hcl")
	h := New(Options{
		Dirs: []string{binDir}, DataDir: t.TempDir(), Timing: timing,
		Load:   func() (*config.Config, error) { return config.Load(file) },
		Logger: slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		_ = h.Close(ctx) // some tests leave active calls
		if t.Failed() && len(l.String()) < 100_000 {
			t.Logf("log:\n%s", l)
		}
	})
	return &testHost{Host: h, logs: l, file: file}
}

func parse(t *testing.T, hcl string) *config.Config {
	t.Helper()
	cfg, err := config.Parse([]byte(hcl), "plugins.hcl")
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// start returns a started host with the given blocks.
func start(t *testing.T, timing Timing, blocks ...string) *testHost {
	t.Helper()
	h := newTestHost(t, timing)
	if err := h.Start(t.Context(), parse(t, strings.Join(blocks, "\n"))); err != nil {
		t.Fatal(err)
	}
	return h
}

// block returns the block of an llm plugin that misbehaves according to mode.
func block(label, mode string, lines ...string) string {
	return fmt.Sprintf("plugin \"llm\" %q {\n  command = \"badplugin\"\n  env = { BAD = %q }\n  %s\n}",
		label, mode, strings.Join(lines, "\n  "))
}

// plugin returns the status of a plugin.
func (h *testHost) plugin(t *testing.T, label string) core.Plugin {
	t.Helper()
	for _, p := range h.Plugins() {
		if p.Label == label {
			return p
		}
	}
	t.Fatalf("no plugin %q", label)
	return core.Plugin{}
}

// chat requests n deltas from a plugin, followed by the behavior that model selects.
func (h *testHost) chat(ctx context.Context, label, model string, n int64) (string, error) {
	_, providerModel, p, err := h.Provider(ctx, label+"/"+model)
	if err != nil {
		return "", err
	}
	out := &texts{}
	_, err = p.Chat(ctx, &llm.Request{Model: providerModel, Stream: true, Parameters: llm.Parameters{MaxTokens: &n}}, out)
	return out.String(), err
}

type texts struct{ strings.Builder }

func (t *texts) Send(d llm.Delta) error {
	t.WriteString(d.Text)
	return nil
}

// waitTimeout bounds every wait. No test that passes waits for it, however busy the machine is.
const waitTimeout = 2 * time.Minute

// await waits until the condition holds. what names the condition.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(waitTimeout)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("condition not met within %s: %s", waitTimeout, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// processState returns the state letter of /proc/pid/stat, or 0 if there is no process.
func processState(pid int) byte {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	return rest[0]
}

// isReaped reports whether a process no longer exists.
func isReaped(pid int) bool { return processState(pid) == 0 }

// hasExited reports whether a process has exited. Zombies count, because the parent reaps them.
func hasExited(pid int) bool {
	s := processState(pid)
	return s == 0 || s == 'Z' || s == 'X'
}

// notedValues returns the numbers that badplugin wrote after prefix.
func notedValues(t *testing.T, path, prefix string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), prefix+" "); ok {
			out = append(out, rest)
		}
	}
	return out
}
