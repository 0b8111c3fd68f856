// Command llm-echo is an LLM provider for demos and tests. It repeats the user's message. It needs
// neither a network nor a key, and its answers are deterministic. Directives at the start of a
// message change its behavior; see the type directives.
package main

import (
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

const version = "0.1.0"

func main() {
	p := newProvider()
	llm.Serve(sdk.Info{
		Name:        "llm-echo",
		Version:     version,
		Description: "An offline provider for demos and tests that repeats the user's message.",
		Config:      &p.config,
	}, p)
}
