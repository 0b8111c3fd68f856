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

// TestRun has nothing to find; TestRunFinds runs it with faults.
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

func TestRunFinds(t *testing.T) {
	t.Parallel()
	path, err := buildFaulty()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ fault, kind, check, words string }{
		{"describe", "llm", "Base/StableDescribe", "another process describes itself"},
		{"refusal", "llm", "Base/BadConfig", "has a path"},
		{"child", "llm", "Base/Lifeline", "live on after"},
		{"child", "llm", "Base/Stop", "live on after"},
		{"deaf", "llm", "Base/Lifeline", "has not ended"},
		{"stop", "llm", "Base/Stop", "Stop: "},
		{"models", "llm", "Models", "there twice"},
		{"usage", "llm", "Answer", "the usage of an answer"},
		{"answer", "llm", "Answer", "has no text"},
		{"answer", "llm", "Parallel", "has no text"},
		{"arguments", "llm", "Tools", "no JSON object"},
		{"limited", "llm", "RateLimited", "retryable"},
		{"large", "llm", "Large", "5 MiB"},
		{"agent-schema", "agent", "Schema", "a JSON Schema of an object"},
		{"random", "agent", "Replay", "started again"},
		{"mixed", "agent", "OutOfOrder", "under another call"},
		{"cancel", "agent", "Cancelled", "has not ended"},
		{"error", "agent", "HostFails", "the host's own error"},
		{"large", "agent", "Large", "too much for me"},
	}
	for _, tt := range tests {
		t.Run(tt.fault+" by "+tt.kind+"/"+tt.check, func(t *testing.T) {
			t.Parallel()
			name := tt.kind + "/" + tt.check
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestRun$/^"+strings.ReplaceAll(name, "/", "$/^")+"$", "-test.v")
			cmd.Env = append(os.Environ(), "FAULT="+tt.fault, "KIND="+tt.kind, "FAULTY="+path)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestRun/"+name) || !strings.Contains(string(out), tt.words) {
				t.Errorf("err = %v\n%s", err, out)
			}
		})
	}
}
