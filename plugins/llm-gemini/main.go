// Command llm-gemini is the LLM provider for Google's Gemini models. It uses the Gemini API.
package main

import (
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

const version = "0.1.0"

func main() {
	p := newProvider()
	llm.Serve(sdk.Info{
		Name: "llm-gemini", Version: version, Config: &p.config,
		Description: "Google's Gemini models, through the Gemini API.",
	}, p)
}
