package llm

import (
	"github.com/agentarea/agentarea/sdk/internal/wire"
	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

func fromRequest(r *Request) *llmv1.ChatRequest {
	return &llmv1.ChatRequest{
		Model:    wire.UTF8(r.Model),
		Messages: wire.FromMessages(r.Messages),
		Tools:    wire.FromTools(r.Tools),
		Parameters: &llmv1.Parameters{
			Temperature: r.Temperature, MaxTokens: r.MaxTokens, TopP: r.TopP, Stop: wire.UTF8s(r.Stop),
		},
		Stream: r.Stream,
		RunId:  r.RunID,
	}
}

func toRequest(r *llmv1.ChatRequest) *Request {
	p := r.GetParameters()
	if p == nil {
		p = &llmv1.Parameters{}
	}
	return &Request{
		Model:      r.GetModel(),
		Messages:   wire.ToMessages(r.GetMessages()),
		Tools:      wire.ToTools(r.GetTools()),
		Parameters: Parameters{Temperature: p.Temperature, MaxTokens: p.MaxTokens, TopP: p.TopP, Stop: p.Stop},
		Stream:     r.GetStream(),
		RunID:      r.GetRunId(),
	}
}

// appendDelta appends d to deltas. It omits an empty delta.
func appendDelta(deltas []*llmv1.Delta, d Delta) []*llmv1.Delta {
	if d.Text != "" {
		deltas = append(deltas, &llmv1.Delta{Content: &llmv1.Delta_Text{Text: wire.UTF8(d.Text)}})
	}
	if d.Reasoning != "" {
		deltas = append(deltas, &llmv1.Delta{Content: &llmv1.Delta_Reasoning{Reasoning: wire.UTF8(d.Reasoning)}})
	}
	if t := d.ToolCall; t != nil {
		deltas = append(deltas, &llmv1.Delta{Content: &llmv1.Delta_ToolCall{ToolCall: &llmv1.ToolCallDelta{
			Index: int32(t.Index), Id: wire.UTF8(t.ID), Name: wire.UTF8(t.Name), //nolint:gosec // an answer has few tool calls
			ArgumentsJson: wire.UTF8(t.Arguments),
		}}})
	}
	return deltas
}

// size returns the approximate size of the delta in bytes.
func (d Delta) size() int {
	n := len(d.Text) + len(d.Reasoning)
	if d.ToolCall != nil {
		n += len(d.ToolCall.Arguments)
	}
	return n
}

func toDelta(d *llmv1.Delta) Delta {
	switch c := d.GetContent().(type) {
	case *llmv1.Delta_Text:
		return Delta{Text: c.Text}
	case *llmv1.Delta_Reasoning:
		return Delta{Reasoning: c.Reasoning}
	case *llmv1.Delta_ToolCall:
		t := c.ToolCall
		return Delta{ToolCall: &ToolCallDelta{
			Index: int(t.GetIndex()), ID: t.GetId(), Name: t.GetName(), Arguments: t.GetArgumentsJson(),
		}}
	}
	return Delta{}
}

func fromFinish(f *Finish) *llmv1.Finish {
	return &llmv1.Finish{Reason: fromReason(f.Reason), Usage: wire.FromUsage(f.Usage), Model: wire.UTF8(f.Model)}
}

func toFinish(f *llmv1.Finish) *Finish {
	return &Finish{Reason: toReason(f.GetReason()), Usage: wire.ToUsage(f.GetUsage()), Model: f.GetModel()}
}

func fromReason(r FinishReason) llmv1.FinishReason {
	switch r {
	case FinishStop:
		return llmv1.FinishReason_FINISH_REASON_STOP
	case FinishLength:
		return llmv1.FinishReason_FINISH_REASON_LENGTH
	case FinishToolCalls:
		return llmv1.FinishReason_FINISH_REASON_TOOL_CALLS
	case FinishContentFilter:
		return llmv1.FinishReason_FINISH_REASON_CONTENT_FILTER
	}
	return llmv1.FinishReason_FINISH_REASON_UNSPECIFIED
}

func toReason(r llmv1.FinishReason) FinishReason {
	switch r {
	case llmv1.FinishReason_FINISH_REASON_STOP:
		return FinishStop
	case llmv1.FinishReason_FINISH_REASON_LENGTH:
		return FinishLength
	case llmv1.FinishReason_FINISH_REASON_TOOL_CALLS:
		return FinishToolCalls
	case llmv1.FinishReason_FINISH_REASON_CONTENT_FILTER:
		return FinishContentFilter
	case llmv1.FinishReason_FINISH_REASON_UNSPECIFIED:
	}
	return ""
}
