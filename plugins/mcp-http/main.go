// Command mcp-http is the plugin for MCP servers that speak streamable HTTP.
package main

import (
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

const version = "0.1.0"

func main() {
	t := &transport{}
	mcptransport.Serve(sdk.Info{
		Name:        "mcp-http",
		Version:     version,
		Description: "MCP servers that are reached by streamable HTTP.",
		Config:      &t.settings,
	}, t)
}
