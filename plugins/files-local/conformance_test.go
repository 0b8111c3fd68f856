package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	plugintest.Files(t, plugintest.Command{Path: build(t)})
}

// build builds the plugin and returns the path of its binary.
func build(tb testing.TB) string {
	tb.Helper()
	binary := filepath.Join(tb.TempDir(), "files-local")
	if out, err := exec.CommandContext(tb.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		tb.Fatalf("%v: %s", err, out)
	}
	return binary
}
