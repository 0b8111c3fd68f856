package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "llm-echo")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	plugintest.LLM(t, plugintest.Command{Path: binary, Script: plugintest.Script{
		ToolPrompt: `/tool plugintest_add {"a":2,"b":3}`, LimitedPrompt: "/error rate_limited", SlowPrompt: "/tokens 100 /delay 100ms",
	}})
}
