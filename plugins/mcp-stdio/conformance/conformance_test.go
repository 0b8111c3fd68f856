// Package conformance has the kit's checks of mcp-stdio. They are not beside the
// plugin's own tests, whose process reaps every child, the kit's too.
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
