// Command llm-ollama is the LLM provider for models that Ollama serves. It uses Ollama's own API,
// which offers more than the OpenAI-compatible one: reasoning, capabilities, and options for
// loading a model.
//
// It does not use Ollama's Go package, because the package's types lose most of a tool's JSON
// Schema, and because it has about thirty dependencies.
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
