// Command mcp-sse is the MCP transport "sse": it connects to MCP servers over HTTP with SSE, the
// transport of MCP 2024-11-05.
package main

import (
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

const version = "0.1.0"

func main() {
	t := &transport{}
	mcptransport.Serve(sdk.Info{
		Name:         "mcp-sse",
		Version:      version,
		Description:  "MCP servers at a URL, over HTTP with SSE (MCP 2024-11-05).",
		Config:       &t.settings,
		Capabilities: []string{mcptransport.CapabilityGuardedNetwork},
	}, t)
}
