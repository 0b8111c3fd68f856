package hostcall

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

// maxAnswer is the maximum size of one answer in bytes, so that a misbehaving provider cannot
// exhaust the memory.
const maxAnswer = 8 << 20

// collector receives the chunks of an answer. It forwards the text and assembles the
// message. It implements llm.Stream.
type collector struct {
	output Output
	req    *agent.Completion

	text  strings.Builder
	tools map[int]*sdk.ToolCall
	// received reports whether a chunk has arrived, and first is when.
	received bool
	first    time.Time
	// size is the number of bytes received.
	size int
	// texts is reused by each SendBatch, so that a token costs no allocation.
	texts []string
}

// Send implements llm.Stream.
func (c *collector) Send(d llm.Delta) error { return c.SendBatch([]llm.Delta{d}) }

// SendBatch receives the chunks of one message of the provider. It fails with
// CodeInvalidRequest when the answer exceeds maxAnswer.
func (c *collector) SendBatch(deltas []llm.Delta) error {
	if !c.received && len(deltas) > 0 {
		c.received, c.first = true, time.Now()
	}
	c.texts = c.texts[:0]
	for _, d := range deltas {
		if d.Text != "" {
			c.texts = append(c.texts, d.Text)
			c.text.WriteString(d.Text)
		}
		if d.ToolCall != nil {
			c.addToolCall(d.ToolCall)
		}
		c.size += len(d.Text) + len(d.Reasoning)
	}
	if c.size > maxAnswer {
		return &sdk.Error{
			Code: sdk.CodeInvalidRequest, Message: fmt.Sprintf("the answer exceeds %d MiB", maxAnswer>>20),
		}
	}
	c.forward(c.texts)
	return nil
}

func (c *collector) addToolCall(d *llm.ToolCallDelta) {
	if c.tools == nil {
		c.tools = map[int]*sdk.ToolCall{}
	}
	call := c.tools[d.Index]
	if call == nil {
		call = &sdk.ToolCall{}
		c.tools[d.Index] = call
	}
	call.ID += d.ID
	call.Name += d.Name
	call.Arguments += d.Arguments
	c.size += len(d.ID) + len(d.Name) + len(d.Arguments)
}

// forward sends texts to the watchers and to the loop, if the request asks for that.
func (c *collector) forward(texts []string) {
	if len(texts) == 0 {
		return
	}
	if c.req.Forward {
		c.output.Forward(texts)
	}
	if c.req.OnDelta != nil {
		for _, text := range texts {
			c.req.OnDelta(text)
		}
	}
}

// answer returns the complete message.
func (c *collector) answer(finish *llm.Finish) *agent.Answer {
	a := &agent.Answer{
		Message:      sdk.Text(sdk.RoleAssistant, c.text.String()),
		FinishReason: string(finish.Reason), Usage: finish.Usage, Model: finish.Model,
	}
	if a.Model == "" {
		a.Model = c.req.Model
	}
	indices := make([]int, 0, len(c.tools))
	for i := range c.tools {
		indices = append(indices, i)
	}
	sort.Ints(indices)
	for _, i := range indices {
		a.Message.ToolCalls = append(a.Message.ToolCalls, *c.tools[i])
	}
	return a
}
