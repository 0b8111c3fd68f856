// Command agent-chat is the agent type "chat": a conversation with a model that may call tools
// before it answers.
package main

import (
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

const version = "0.1.0"

func main() {
	agent.Serve(sdk.Info{
		Name:        "agent-chat",
		Version:     version,
		Description: "A conversation with a model that may call tools.",
	}, chat{})
}
