package main

import (
	"context"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/tidwall/gjson"

	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// Chat implements llm.Provider. It always requests a stream, because the API rejects long answers
// otherwise.
func (p *provider) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	params, err := p.encode(req)
	if err != nil {
		return nil, err
	}
	ctx, w := p.server.WithStartTimeout(ctx)
	defer w.Close()
	stream := p.messages.NewStreaming(ctx, params)
	defer func() { _ = stream.Close() }()
	a := answer{out: out, finish: llm.Finish{Reason: llm.FinishStop, Model: req.Model}, calls: map[int64]int{}}
	for stream.Next() {
		w.Started()
		if err := a.addEvent(stream.Current()); err != nil {
			return nil, err
		}
	}
	switch err := stream.Err(); {
	case a.complete:
		return &a.finish, nil
	case err != nil:
		return nil, p.wrapProviderError(ctx, err)
	}
	return nil, p.server.TransportError(ctx, remote.ErrTruncated)
}

// inputComplete marks a tool call whose input was complete at the start of its block.
const inputComplete = -1

// answer is the answer received so far.
type answer struct {
	out    llm.Stream
	finish llm.Finish
	// calls maps the index of a content block to the index of its tool call, or to inputComplete.
	calls    map[int64]int
	complete bool
}

// addEvent forwards the content of an event.
func (a *answer) addEvent(e anthropic.MessageStreamEventUnion) error {
	switch e.Type {
	case "message_start":
		if e.Message.Model != "" {
			a.finish.Model = e.Message.Model
		}
		u := e.Message.Usage
		a.setUsage(u.InputTokens, u.CacheCreationInputTokens, u.CacheReadInputTokens, u.OutputTokens)
	case "content_block_start":
		if b := e.ContentBlock; b.Type == "tool_use" {
			n := len(a.calls)
			input := initialInput(e)
			a.calls[e.Index] = n
			if input != "" {
				a.calls[e.Index] = inputComplete
			}
			return a.out.Send(llm.Delta{ToolCall: &llm.ToolCallDelta{Index: n, ID: b.ID, Name: b.Name, Arguments: input}})
		}
	case "content_block_delta":
		return a.addDelta(e.Index, e.Delta)
	case "message_delta":
		a.setReason(e.Delta.StopReason)
		u := e.Usage
		a.setUsage(u.InputTokens, u.CacheCreationInputTokens, u.CacheReadInputTokens, u.OutputTokens)
		a.finish.Usage.ReasoningTokens = u.OutputTokensDetails.ThinkingTokens
	case "message_stop":
		a.complete = true
	}
	return nil
}

// initialInput returns the input at the start of the block of a tool call, which compatible servers may send. It returns
// "" if the input follows in pieces, as the API sends it after an empty object.
func initialInput(e anthropic.MessageStreamEventUnion) string {
	input := gjson.Get(e.RawJSON(), "content_block.input")
	if !input.IsObject() || len(input.Map()) == 0 {
		return ""
	}
	return input.Raw
}

// addDelta forwards a delta of a content block.
func (a *answer) addDelta(block int64, d anthropic.MessageStreamEventUnionDelta) error {
	switch d.Type {
	case "text_delta":
		return a.out.Send(llm.Delta{Text: d.Text})
	case "thinking_delta":
		return a.out.Send(llm.Delta{Reasoning: d.Thinking})
	case "input_json_delta":
		if n, ok := a.calls[block]; ok && n != inputComplete {
			return a.out.Send(llm.Delta{ToolCall: &llm.ToolCallDelta{Index: n, Arguments: d.PartialJSON}})
		}
	}
	return nil
}

// setUsage stores the newest token counts, which are totals of the answer so far. A later
// event may omit the input counts of the first one.
func (a *answer) setUsage(uncached, written, read, output int64) {
	if input := uncached + written + read; input > 0 {
		a.finish.Usage.InputTokens, a.finish.Usage.CachedInputTokens = input, read
	}
	a.finish.Usage.OutputTokens = max(a.finish.Usage.OutputTokens, output)
}

// setReason stores the finish reason.
func (a *answer) setReason(reason anthropic.StopReason) {
	switch string(reason) {
	case "max_tokens", "model_context_window_exceeded":
		a.finish.Reason = llm.FinishLength
	case "tool_use":
		a.finish.Reason = llm.FinishToolCalls
	case "refusal":
		a.finish.Reason = llm.FinishContentFilter
	}
}
