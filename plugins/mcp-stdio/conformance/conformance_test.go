// Package conformance runs the conformance suite on mcp-stdio. It is separate from the plugin's
// tests, because their process reaps every child process, including those of the suite.
package conformance

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "mcp-stdio")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "..").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	plugintest.MCP(t, plugintest.Command{Path: binary})
}
