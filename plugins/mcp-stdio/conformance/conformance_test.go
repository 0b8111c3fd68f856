// Package conformance has the kit's checks of mcp-stdio. They are not beside the
// plugin's own tests, whose process reaps every child, the kit's too.
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
