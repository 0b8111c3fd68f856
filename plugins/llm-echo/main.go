// Command llm-echo is a provider without a model: it answers with what the user
// said, offline, without a key, and the same every time. What a message begins
// with can ask it for more; see directives.
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
		Description: "An offline echo for demos and tests: no model, no key; it repeats the user's message.",
		Config:      &p.config,
	}, p)
}
