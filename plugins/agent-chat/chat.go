package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// chat implements agent.Type.
type chat struct{}

// Schema implements agent.Type.
func (chat) Schema() json.RawMessage { return schema }

// Run implements agent.Type. It asks the model until the model answers without a tool call.
// Every decision depends only on the run and on the host's replies, so a run that is
// replayed makes the same host calls.
func (chat) Run(ctx context.Context, run *agent.Run, host agent.Host) (*sdk.Message, error) {
	c, err := readConfig(run.Config)
	if err != nil {
		return nil, err
	}
	var tools []sdk.Tool
	if len(c.MCPServers) > 0 || len(c.Tools) > 0 {
		if tools, err = host.ListTools(ctx); err != nil {
			return nil, err
		}
	}
	t := &turn{config: c, host: host, tools: tools, window: newWindow(c, run, tools)}
	for step := 1; ; step++ {
		answer, err := t.complete(ctx)
		if err != nil {
			return nil, err
		}
		calls := answer.Message.ToolCalls
		if len(calls) == 0 {
			return &answer.Message, nil
		}
		if step >= int(c.MaxSteps) {
			return nil, tooManySteps(step, calls)
		}
		results, err := host.CallTools(ctx, calls)
		if err != nil {
			return nil, err
		}
		t.window.add(answer.Message, results)
	}
}

// tooManySteps returns the error of a run that used all its steps while the model still
// asked for tools. The calls of the last step are not made, because no completion would
// read their results.
func tooManySteps(maxSteps int, calls []sdk.ToolCall) *sdk.Error {
	names := make([]string, 0, len(calls))
	for _, call := range calls {
		if !slices.Contains(names, call.Name) {
			names = append(names, call.Name)
		}
	}
	steps := "1 step"
	if maxSteps > 1 {
		steps = fmt.Sprintf("%d steps", maxSteps)
	}
	return &sdk.Error{
		Code: sdk.CodeMaxSteps,
		Message: fmt.Sprintf("the model still called %s after %s; raise max_steps in the agent's config to allow more",
			strings.Join(names, ", "), steps),
	}
}

// turn is the state of one run.
type turn struct {
	config *config
	host   agent.Host
	tools  []sdk.Tool
	window *window
}

// maxHalvings is the number of times that a prompt that is too long for the model is halved.
const maxHalvings = 2

// complete asks the model for an answer. When the provider reports that the prompt is too
// long, complete halves it and tries again, and later steps keep the smaller prompt.
func (t *turn) complete(ctx context.Context) (*agent.Answer, error) {
	for try := 0; ; try++ {
		messages := t.window.messages()
		answer, err := t.host.Complete(ctx, &agent.Completion{
			Model: t.config.Model, Messages: messages, Tools: t.tools,
			Temperature: t.config.Temperature, MaxTokens: (*int64)(t.config.MaxTokens), TopP: t.config.TopP, Stop: t.config.Stop,
			Forward: true, Final: true,
		})
		if err == nil || try == maxHalvings || sdk.AsError(err).Code != sdk.CodeContextTooLong || !t.window.halve() {
			return answer, err
		}
	}
}
