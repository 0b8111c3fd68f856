// Command mcp-stdio runs MCP servers as programs on the server's machine and
// speaks to them over their standard input and output.
//
// Each program has a keeper: another process of this binary, which ends whatever
// the program has left behind, and is ended with everything when this process is.
package main

import (
	"os"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == keeperWord {
		os.Exit(keep(os.Args[2:]))
	}
	t := &transport{}
	mcptransport.Serve(sdk.Info{
		Name: "mcp-stdio", Version: "0.1.0", Description: "MCP servers as programs on this machine.",
		Capabilities: []string{mcptransport.CapabilityProcess}, Config: &t.config,
	}, t)
}
