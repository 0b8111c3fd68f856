package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// loop implements agent.Type.
type loop struct{ *faulty }

// Schema implements agent.Type.
func (*loop) Schema() json.RawMessage {
	switch fault {
	case "agent-schema":
		return json.RawMessage(`[]`)
	case "agent-schema-type":
		return json.RawMessage(`{"type":"object","properties":{"model":{"type":"sting"}}}`)
	}
	return json.RawMessage(`{"type":"object"}`)
}

// Run implements agent.Type.
func (*loop) Run(ctx context.Context, run *agent.Run, host agent.Host) (*sdk.Message, error) {
	leak()
	req := &agent.Completion{Model: "m", Messages: append(run.History, run.Input)}
	switch fault {
	case "random":
		req.Model = fmt.Sprint("m", rand.Int())
	case "cancel":
		ctx = context.WithoutCancel(ctx)
		defer time.Sleep(3 * time.Second)
	case "large":
		if len(run.Input.Text()) > 1<<20 {
			return nil, errors.New("too much for me")
		}
	}
	tools, err := host.ListTools(ctx)
	if err != nil {
		return hidden(err)
	}
	req.Tools = tools
	for {
		answer, err := host.Complete(ctx, req)
		if err != nil {
			return hidden(err)
		}
		calls := answer.Message.ToolCalls
		if len(calls) == 0 {
			return mangled(answer.Message), nil
		}
		if fault == "drop-call" {
			calls = calls[:1]
		}
		results, err := host.CallTools(ctx, calls)
		if err != nil {
			return nil, err
		}
		if fault == "drop-both" {
			answer.Message.ToolCalls = calls[:1]
			calls = calls[:1]
		}
		req.Messages = append(req.Messages, answer.Message)
		for i, call := range calls {
			m := sdk.Message{Role: sdk.RoleTool, ToolCallID: call.ID, Parts: results[i].Parts}
			switch fault {
			case "mixed":
				m.ToolCallID = calls[len(calls)-1-i].ID
			case "no-call-id":
				m.ToolCallID = ""
			}
			req.Messages = append(req.Messages, m)
		}
	}
}

// hidden returns err, or an answer in its place or another error if FAULT requires it.
func hidden(err error) (*sdk.Message, error) {
	switch fault {
	case "error":
		return nil, errors.New(strings.ToUpper(err.Error()))
	case "swallow":
		sorry := sdk.Text(sdk.RoleAssistant, "I am sorry.")
		return &sorry, nil
	}
	return nil, err
}

// mangled returns the answer, with split characters if FAULT requires it.
func mangled(answer sdk.Message) *sdk.Message {
	if fault == "halves" {
		text := answer.Text()
		answer = sdk.Text(sdk.RoleAssistant, text[:len(text)-1]+"\xff")
	}
	return &answer
}
