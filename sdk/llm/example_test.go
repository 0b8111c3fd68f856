package llm_test

import (
	"context"
	"strings"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

// echo is a provider that repeats the last message word by word.
type echo struct {
	Prefix string `config:"prefix" default:"You said: " doc:"what each reply begins with"`
}

func (*echo) ListModels(context.Context) ([]llm.Model, error) {
	return []llm.Model{{ID: "echo"}}, nil
}

func (e *echo) Chat(_ context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	input := req.Messages[len(req.Messages)-1].Text()
	for word := range strings.SplitAfterSeq(e.Prefix+input, " ") {
		if err := out.Send(llm.Delta{Text: word}); err != nil {
			return nil, err
		}
	}
	return &llm.Finish{Reason: llm.FinishStop, Model: req.Model}, nil
}

// A complete provider consists of this main function and the type above.
func ExampleServe() {
	e := &echo{}
	llm.Serve(sdk.Info{Name: "llm-echo", Version: "1.0.0", Description: "Says what it is told.", Config: e}, e)
}
