package llm

import (
	"strings"

	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

// collector is the Stream of a Chat that no client follows. It collects the whole answer and
// concatenates adjacent pieces of text.
type collector struct {
	deltas          []*llmv1.Delta
	text, reasoning strings.Builder
	runes           runeJoiner
}

// Send implements Stream.
func (c *collector) Send(d Delta) error {
	c.add(c.runes.join(d))
	return nil
}

func (c *collector) add(d Delta) {
	if d.Text != "" {
		c.flush(&c.reasoning)
		c.text.WriteString(d.Text)
	}
	if d.Reasoning != "" {
		c.flush(&c.text)
		c.reasoning.WriteString(d.Reasoning)
	}
	if d.ToolCall != nil {
		c.flush(&c.text)
		c.flush(&c.reasoning)
		c.deltas = appendDelta(c.deltas, Delta{ToolCall: d.ToolCall})
	}
}

// flush appends the content of b as one delta.
func (c *collector) flush(b *strings.Builder) {
	if b.Len() == 0 {
		return
	}
	d := Delta{Text: b.String()}
	if b == &c.reasoning {
		d = Delta{Reasoning: b.String()}
	}
	c.deltas = appendDelta(c.deltas, d)
	b.Reset()
}

// response returns the whole answer.
func (c *collector) response(f *Finish) *llmv1.ChatResponse {
	for _, d := range c.runes.rest() {
		c.add(d)
	}
	c.flush(&c.text)
	c.flush(&c.reasoning)
	return &llmv1.ChatResponse{Deltas: c.deltas, Finish: fromFinish(f)}
}
