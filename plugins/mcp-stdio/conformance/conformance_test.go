// Package conformance runs the conformance suite on mcp-stdio. It is separate from the plugin's
// tests, because their process reaps every child process, including those of the suite.
package conformance

import (
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
	"github.com/agentarea/agentarea/test/testenv"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	binary := testenv.Binary(t, "mcp-stdio")
	plugintest.MCP(t, plugintest.Command{Path: binary})
}
