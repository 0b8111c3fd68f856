// Command mcp-http is the MCP transport "http": it connects to MCP servers over streamable HTTP.
package main

import (
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

const version = "0.1.0"

func main() {
	t := &transport{}
	mcptransport.Serve(sdk.Info{
		Name:         "mcp-http",
		Version:      version,
		Description:  "MCP servers at a URL, over streamable HTTP.",
		Config:       &t.settings,
		Capabilities: []string{mcptransport.CapabilityGuardedNetwork},
	}, t)
}
