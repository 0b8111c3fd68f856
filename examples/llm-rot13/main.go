// Command llm-rot13 is a minimal LLM provider for AgentArea. It answers with the user's message in
// rot13.
package main

import (
	"context"
	"strings"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

type provider struct {
	Greeting string `config:"greeting" default:"Uryyb! " doc:"start of each answer"`
}

func (*provider) ListModels(context.Context) ([]llm.Model, error) {
	return []llm.Model{{ID: "rot13"}}, nil
}

func (p *provider) Chat(_ context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	message := req.Messages[len(req.Messages)-1].Text()
	usage := sdk.Usage{InputTokens: int64(len(message)), OutputTokens: int64(len(message))}
	return &llm.Finish{
		Reason: llm.FinishStop, Usage: usage,
	}, out.Send(llm.Delta{Text: p.Greeting + strings.Map(rot13, message)})
}

func rot13(r rune) rune {
	if base := r | 0x20; 'a' <= base && base <= 'z' {
		return r - base + 'a' + (base-'a'+13)%26
	}
	return r
}

func main() {
	p := &provider{}
	llm.Serve(sdk.Info{Name: "llm-rot13", Version: "1.0.0", Description: "Answers in rot13.", Config: p}, p)
}
