// Command llm-ollama is the plugin for models that Ollama serves, by its own API,
// which tells more than its OpenAI-compatible one: thoughts, capabilities, how a
// model is loaded.
//
// The API is spoken here and not by Ollama's Go package: that one's types lose
// most of a tool's JSON Schema, and it brings some thirty modules for two requests.
package main

import (
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

const version = "0.1.0"

func main() {
	p := newProvider()
	llm.Serve(sdk.Info{
		Name: "llm-ollama", Version: version, Description: "Models that Ollama serves.", Config: &p.config,
	}, p)
}
