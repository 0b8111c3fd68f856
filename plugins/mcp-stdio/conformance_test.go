package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "mcp-stdio")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	plugintest.MCP(t, plugintest.Command{Path: binary})
}
