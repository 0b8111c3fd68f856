package plugintest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
)

var buildFaulty = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "faulty")
	out, err := exec.CommandContext(context.Background(), "go", "build", "-o", path, "./testdata/faulty").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

// TestRun checks correct plugins. TestRun_findsFaults runs it with faults.
func TestRun(t *testing.T) {
	t.Parallel()
	path := os.Getenv("FAULTY")
	if path == "" {
		var err error
		if path, err = buildFaulty(); err != nil {
			t.Fatal(err)
		}
	}
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
	path, err := buildFaulty()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ fault, kind, check, words string }{
		{"describe", "llm", "Base/StableDescribe", "another process returned"},
		{"refusal", "llm", "Base/BadConfig", "has a path"},
		{"child", "llm", "Base/Lifeline", "still running after"},
		{"child", "llm", "Base/Stop", "still running after"},
		{"deaf", "llm", "Base/Lifeline", "did not exit"},
		{"stop", "llm", "Base/Stop", "Stop: "},
		{"models", "llm", "Models", "want unique IDs"},
		{"usage", "llm", "Answer", "the usage of an answer"},
		{"answer", "llm", "Answer", "has no text"},
		{"answer", "llm", "Parallel", "has no text"},
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
