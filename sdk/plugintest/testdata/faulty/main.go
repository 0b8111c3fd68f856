// Command faulty is a provider, or with KIND=agent an agent type, with the fault that FAULT names.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

var fault = os.Getenv("FAULT")

type config struct {
	Size int `config:"size" default:"1"`
}

type faulty struct{ config config }

func main() {
	f := &faulty{}
	info := sdk.Info{Name: "faulty", Version: "1.0.0", Config: &f.config}
	switch fault {
	case "describe":
		info.Version = fmt.Sprint("1.0.", rand.Int())
	case "child":
		c := exec.Command("sleep", "60")
		if err := c.Start(); err != nil {
			panic(err)
		}
	case "deaf":
		os.Stdin = nil
		r, _, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		os.Stdin = r
	case "schema":
		info.Config = nil
	}
	if os.Getenv("KIND") == "agent" {
		agent.Serve(info, &loop{f})
		return
	}
	llm.Serve(info, f)
}

func (f *faulty) Configure(context.Context, sdk.Env) error {
	if fault == "refusal" && f.config.Size < 0 {
		return errors.New("no")
	}
	if f.config.Size < 0 {
		return &sdk.ConfigError{Path: []string{"size"}, Summary: "must not be negative"}
	}
	return nil
}

func (f *faulty) Stop(context.Context) error {
	if fault == "stop" {
		time.Sleep(time.Minute)
	}
	return nil
}

func (f *faulty) ListModels(context.Context) ([]llm.Model, error) {
	models := []llm.Model{{ID: "one"}, {ID: "two"}}
	if fault == "models" {
		models[1].ID = "one"
	}
	return models, nil
}

func (f *faulty) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	finish := &llm.Finish{Reason: llm.FinishStop, Usage: sdk.Usage{InputTokens: 1, OutputTokens: 1}}
	if fault == "usage" {
		finish.Usage = sdk.Usage{}
	}
	last := req.Messages[len(req.Messages)-1]
	text := "fine"
	switch {
	case fault == "large" && len(last.Text()) > 1<<20:
		return nil, errors.New("too much for me")
	case last.Role == sdk.RoleUser && last.Text() == "tool":
		finish.Reason = llm.FinishToolCalls
		arguments := `{"a":2,"b":3}`
		if fault == "arguments" {
			arguments = arguments[1:]
		}
		return finish, out.Send(llm.Delta{
			ToolCall: &llm.ToolCallDelta{ID: "c1", Name: req.Tools[0].Name, Arguments: arguments},
		})
	case last.Text() == "limited":
		return nil, &sdk.Error{Code: sdk.CodeRateLimited, Message: "slow down", Retryable: fault != "limited"}
	case last.Text() == "slow":
		for range 100 {
			if err := out.Send(llm.Delta{Text: "a "}); err != nil {
				return nil, err
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	if fault == "answer" {
		text = ""
	}
	return finish, out.Send(llm.Delta{Text: text})
}

// loop implements agent.Type.
type loop struct{ *faulty }

func (*loop) Schema() json.RawMessage {
	if fault == "agent-schema" {
		return json.RawMessage(`[]`)
	}
	return json.RawMessage(`{"type":"object"}`)
}

func (*loop) Run(ctx context.Context, run *agent.Run, host agent.Host) (*sdk.Message, error) {
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
		return nil, swallowed(err)
	}
	req.Tools = tools
	for {
		answer, err := host.Complete(ctx, req)
		if err != nil {
			return nil, err
		}
		calls := answer.Message.ToolCalls
		if len(calls) == 0 {
			return &answer.Message, nil
		}
		results, err := host.CallTools(ctx, calls)
		if err != nil {
			return nil, err
		}
		req.Messages = append(req.Messages, answer.Message)
		for i, call := range calls {
			m := sdk.Message{Role: sdk.RoleTool, ToolCallID: call.ID, Parts: results[i].Parts}
			if fault == "mixed" {
				m.ToolCallID = calls[len(calls)-1-i].ID
			}
			req.Messages = append(req.Messages, m)
		}
	}
}

// swallowed hides the error of the host if FAULT requires it.
func swallowed(err error) error {
	if fault == "error" {
		return errors.New(strings.ToUpper(err.Error()))
	}
	return err
}
