package main

import (
	"context"

	"github.com/anthropics/anthropic-sdk-go"

	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// Chat implements llm.Provider. Every answer is asked for as a stream: the API
// refuses to give a long one otherwise.
func (p *provider) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	params, err := p.encode(req)
	if err != nil {
		return nil, err
	}
	ctx, w := p.server.Wait(ctx)
	defer w.Close()
	stream := p.messages.NewStreaming(ctx, params)
	defer func() { _ = stream.Close() }()
	a := answer{out: out, finish: llm.Finish{Reason: llm.FinishStop, Model: req.Model}, calls: map[int64]int{}}
	for stream.Next() {
		w.Begun()
		if err := a.take(stream.Current()); err != nil {
			return nil, err
		}
	}
	switch err := stream.Err(); {
	case a.whole:
		return &a.finish, nil
	case err != nil:
		return nil, p.failed(ctx, err)
	}
	return nil, p.server.Failed(ctx, remote.ErrCut)
}

// answer takes the events of a stream.
type answer struct {
	out    llm.Stream
	finish llm.Finish
	// calls are the tool calls' numbers by their blocks'.
	calls map[int64]int
	whole bool
}

func (a *answer) take(e anthropic.MessageStreamEventUnion) error {
	switch e.Type {
	case "message_start":
		if e.Message.Model != "" {
			a.finish.Model = e.Message.Model
		}
		u := e.Message.Usage
		a.count(u.InputTokens, u.CacheCreationInputTokens, u.CacheReadInputTokens, u.OutputTokens)
	case "content_block_start":
		if b := e.ContentBlock; b.Type == "tool_use" {
			n := len(a.calls)
			a.calls[e.Index] = n
			return a.out.Send(llm.Delta{ToolCall: &llm.ToolCallDelta{Index: n, ID: b.ID, Name: b.Name}})
		}
	case "content_block_delta":
		return a.delta(e.Index, e.Delta)
	case "message_delta":
		a.end(e.Delta.StopReason)
		u := e.Usage
		a.count(u.InputTokens, u.CacheCreationInputTokens, u.CacheReadInputTokens, u.OutputTokens)
		a.finish.Usage.ReasoningTokens = u.OutputTokensDetails.ThinkingTokens
	case "message_stop":
		a.whole = true
	}
	return nil
}

func (a *answer) delta(block int64, d anthropic.MessageStreamEventUnionDelta) error {
	switch d.Type {
	case "text_delta":
		return a.out.Send(llm.Delta{Text: d.Text})
	case "thinking_delta":
		return a.out.Send(llm.Delta{Reasoning: d.Thinking})
	case "input_json_delta":
		if n, ok := a.calls[block]; ok {
			return a.out.Send(llm.Delta{ToolCall: &llm.ToolCallDelta{Index: n, Arguments: d.PartialJSON}})
		}
	}
	return nil
}

// count keeps the newest counts, which are of the whole answer so far. The
// second event may leave out what the first had.
func (a *answer) count(fresh, written, read, output int64) {
	if input := fresh + written + read; input > 0 {
		a.finish.Usage.InputTokens, a.finish.Usage.CachedInputTokens = input, read
	}
	a.finish.Usage.OutputTokens = max(a.finish.Usage.OutputTokens, output)
}

func (a *answer) end(reason anthropic.StopReason) {
	switch string(reason) {
	case "max_tokens", "model_context_window_exceeded":
		a.finish.Reason = llm.FinishLength
	case "tool_use":
		a.finish.Reason = llm.FinishToolCalls
	case "refusal":
		a.finish.Reason = llm.FinishContentFilter
	}
}
