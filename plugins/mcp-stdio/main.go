// Command mcp-stdio is the MCP transport "stdio": it runs MCP servers as programs on the server's
// machine and communicates with them over standard input and output.
//
// Each program is a child of a shim, which is another process of this binary. The shim kills
// whatever the program leaves behind, and exits with all its processes when the plugin exits.
package main

import (
	"os"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == shimArg {
		os.Exit(runShim(os.Args[2:]))
	}
	t := &transport{}
	mcptransport.Serve(sdk.Info{
		Name: "mcp-stdio", Version: "0.1.0", Description: "MCP servers that run as programs on this machine.",
		Capabilities: []string{mcptransport.CapabilityProcess}, Config: &t.config,
	}, t)
}
