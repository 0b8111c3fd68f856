// Command llm-openai is the plugin for OpenAI and for every server that speaks
// its Chat Completions API: Ollama, vLLM, llama.cpp, OpenRouter, LiteLLM, …
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
		Description: "OpenAI's models, and those of every compatible server by base_url.",
		Config:      &p.config,
	}, p)
}
