// Command llm-anthropic is the LLM provider for Anthropic's models. It uses the Messages API.
package main

import (
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

const version = "0.1.0"

func main() {
	p := newProvider()
	llm.Serve(sdk.Info{
		Name: "llm-anthropic", Version: version, Config: &p.config,
		Description: "Anthropic's models, through the Messages API.",
	}, p)
}
