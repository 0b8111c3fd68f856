package plugintest_test

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
)

var faulty = sync.OnceValues(func() (string, error) { return build("faulty") })

// TestRun checks correct plugins. TestRun_findsFaults runs it with faults.
func TestRun(t *testing.T) {
	t.Parallel()
	path := program(t, "FAULTY", faulty)
	kinds := []string{"llm", "agent"}
	if kind := os.Getenv("KIND"); kind != "" {
		kinds = []string{kind}
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			plugintest.Run(t, plugintest.Command{
				Path: path, Env: []string{"KIND=" + kind, "FAULT=" + os.Getenv("FAULT")},
				BadConfig: map[string]any{"size": -1},
				Script:    plugintest.Script{ToolPrompt: "tool", LimitedPrompt: "limited", SlowPrompt: "slow"},
			})
		})
	}
}

func TestRun_findsFaults(t *testing.T) {
	t.Parallel()
	path := program(t, "FAULTY", faulty)
	type test struct{ fault, kind, check, words string }
	tests := []test{
		{"describe", "llm", "Base/StableDescribe", "another process returned"},
		{"refusal", "llm", "Base/BadConfig", "has a path"},
		{"child", "llm", "Base/Lifeline", "still running after"},
		{"models", "llm", "Models", "want unique IDs"},
		{"usage", "llm", "Answer", "the usage of an answer"},
		{"answer", "llm", "Answer", "has no text"},
		{"arguments", "llm", "Tools", "not a JSON object"},
		{"limited", "llm", "RateLimited", "retryable"},
		{"large", "llm", "Large", "5 MiB"},
		{"agent-schema", "agent", "Schema", "a JSON Schema of an object"},
		{"random", "agent", "Replay", "a repeated run"},
		{"mixed", "agent", "OutOfOrder", "ID of another call"},
		{"cancel", "agent", "Cancelled", "did not end"},
		{"error", "agent", "HostFails", "want the error of the host"},
		{"large", "agent", "Large", "too much for me"},
	}
	if os.Getenv("AGENTAREA_TEST_SLOW") == "1" {
		tests = append(
			tests,
			test{"child", "llm", "Base/Stop", "still running after"},
			test{"deaf", "llm", "Base/Lifeline", "did not exit"},
			test{"stop", "llm", "Base/Stop", "Stop: "},
			test{"answer", "llm", "Parallel", "has no text"},
		)
	}
	for _, tt := range tests {
		t.Run(tt.fault+" by "+tt.kind+"/"+tt.check, func(t *testing.T) {
			t.Parallel()
			name := tt.kind + "/" + tt.check
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run",
				"^TestRun$/^"+strings.ReplaceAll(name, "/", "$/^")+"$", "-test.v")
			cmd.Env = append(os.Environ(), "FAULT="+tt.fault, "KIND="+tt.kind, "FAULTY="+path)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestRun/"+name) ||
				!strings.Contains(string(out), tt.words) {
				t.Errorf("the check with the fault %q: error %v, want a failure that contains %q; output:\n%s",
					tt.fault, err, tt.words, out)
			}
		})
	}
}
