package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

// ListModels implements llm.Provider.
func (f *faulty) ListModels(context.Context) ([]llm.Model, error) {
	models := []llm.Model{{ID: "one"}, {ID: "two"}}
	if fault == "models" {
		models[1].ID = "one"
	}
	return models, nil
}

// usages are the usages that are wrong.
var usages = map[string]sdk.Usage{
	"usage": {}, "negative-usage": {InputTokens: 5, OutputTokens: -5},
	"absurd-usage": {InputTokens: 5, OutputTokens: 1 << 62},
	"cached-usage": {InputTokens: 5, OutputTokens: 5, CachedInputTokens: 6},
}

// Chat implements llm.Provider.
func (f *faulty) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	leak()
	finish := &llm.Finish{Reason: llm.FinishStop, Usage: sdk.Usage{InputTokens: 1, OutputTokens: 1}}
	if u, ok := usages[fault]; ok {
		finish.Usage = u
	}
	last := req.Messages[len(req.Messages)-1]
	text := "fine"
	switch {
	case fault == "large" && len(last.Text()) > 1<<20:
		return nil, errors.New("too much for me")
	case last.Role == sdk.RoleUser && (last.Text() == "tool" || last.Text() == "tools"):
		finish.Reason = llm.FinishToolCalls
		return finish, callTools(req, out, last.Text() == "tools" && fault != "one-call")
	case last.Text() == "limited":
		return nil, &sdk.Error{Code: sdk.CodeRateLimited, Message: "slow down", Retryable: fault != "limited"}
	case last.Text() == "slow":
		if err := slow(ctx, out); err != nil {
			return nil, err
		}
	case strings.Contains(last.Text(), "😀"):
		text = last.Text()
	}
	switch fault {
	case "answer":
		text = ""
	case "halves":
		text = strings.ReplaceAll(text, "😀", "\uFFFD\uFFFD")
	}
	return finish, out.Send(llm.Delta{Text: text})
}

// slow sends an answer of ten seconds.
func slow(ctx context.Context, out llm.Stream) error {
	if fault == "deaf-answer" {
		ctx = context.WithoutCancel(ctx)
	}
	for range 100 {
		if err := out.Send(llm.Delta{Text: "a "}); err != nil && fault != "deaf-answer" {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// callTools sends one tool call or two.
func callTools(req *llm.Request, out llm.Stream, two bool) error {
	first := llm.ToolCallDelta{ID: "c1", Name: req.Tools[0].Name, Arguments: `{"a":2,"b":3}`}
	switch fault {
	case "arguments":
		first.Arguments = first.Arguments[1:]
	case "no-id":
		first.ID = ""
	case "index":
		first.Index = 1_000_000_000
	}
	err := out.Send(llm.Delta{ToolCall: &first})
	if !two || err != nil {
		return err
	}
	second := llm.ToolCallDelta{Index: 1, ID: "c2", Name: req.Tools[0].Name, Arguments: `{"a":4,"b":5}`}
	if fault == "same-id" {
		second.ID = "c1"
	}
	return out.Send(llm.Delta{ToolCall: &second})
}
