// Command llm-openai is the LLM provider for OpenAI and for every server with a compatible Chat
// Completions API, such as Ollama, vLLM, llama.cpp, OpenRouter or LiteLLM.
package main

import (
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

const version = "0.1.0"

func main() {
	p := newProvider()
	llm.Serve(sdk.Info{
		Name:        "llm-openai",
		Version:     version,
		Description: "Models of OpenAI, and of any compatible server at base_url.",
		Config:      &p.config,
	}, p)
}
