package llm

import (
	"strings"

	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

// gatherer is the Stream of a Chat that nobody watches: it keeps all of the
// answer, text joined to the text before it.
type gatherer struct {
	deltas          []*llmv1.Delta
	text, reasoning strings.Builder
}

// Send implements Stream.
func (g *gatherer) Send(d Delta) error {
	if d.Text != "" {
		g.join(&g.reasoning)
		g.text.WriteString(d.Text)
	}
	if d.Reasoning != "" {
		g.join(&g.text)
		g.reasoning.WriteString(d.Reasoning)
	}
	if d.ToolCall != nil {
		g.join(&g.text)
		g.join(&g.reasoning)
		g.deltas = appendDelta(g.deltas, Delta{ToolCall: d.ToolCall})
	}
	return nil
}

// join makes one delta of what b holds.
func (g *gatherer) join(b *strings.Builder) {
	if b.Len() == 0 {
		return
	}
	d := Delta{Text: b.String()}
	if b == &g.reasoning {
		d = Delta{Reasoning: b.String()}
	}
	g.deltas = appendDelta(g.deltas, d)
	b.Reset()
}

// response is the whole answer.
func (g *gatherer) response(f *Finish) *llmv1.ChatResponse {
	g.join(&g.text)
	g.join(&g.reasoning)
	return &llmv1.ChatResponse{Deltas: g.deltas, Finish: fromFinish(f)}
}
