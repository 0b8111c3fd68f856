package hostcall

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

// The limits of one answer, so that a misbehaving provider cannot exhaust the memory.
const (
	maxAnswer    = 8 << 20 // bytes
	maxToolCalls = 128
	// maxTokens is the largest count of tokens that is stored, so that sums do not overflow.
	maxTokens = 1_000_000_000
	// maxModelName is the maximum length of the model's name in bytes.
	maxModelName = 256
)

// collector receives the chunks of an answer. It forwards the text and assembles the
// message. It implements llm.Stream.
type collector struct {
	output Output
	req    *agent.Completion

	text  strings.Builder
	tools map[int]*sdk.ToolCall
	// received reports whether a chunk has arrived, and first is its time.
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
// CodeInvalidRequest when the answer exceeds maxAnswer, and with CodeInternal for a tool call
// outside the limits.
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
			if err := c.addToolCall(d.ToolCall); err != nil {
				return err
			}
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

func (c *collector) addToolCall(d *llm.ToolCallDelta) error {
	if d.Index < 0 || d.Index >= maxToolCalls {
		return badAnswer("a tool call has index %d, but must have one from 0 to %d", d.Index, maxToolCalls-1)
	}
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
	return nil
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

// answer returns the complete message. It fails with CodeInternal if a tool call has no name, or
// no id of its own, because its result could not be assigned to it.
func (c *collector) answer(finish *llm.Finish) (*agent.Answer, error) {
	calls, err := c.toolCalls()
	if err != nil {
		return nil, err
	}
	message := sdk.Text(sdk.RoleAssistant, c.text.String())
	message.ToolCalls = calls
	return &agent.Answer{
		Message: message, FinishReason: string(finish.Reason), Usage: clampUsage(finish.Usage),
		Model: cmp.Or(modelName(finish.Model), c.req.Model),
	}, nil
}

// toolCalls returns the tool calls in the order of their indices.
func (c *collector) toolCalls() ([]sdk.ToolCall, error) {
	var calls []sdk.ToolCall
	for _, i := range slices.Sorted(maps.Keys(c.tools)) {
		call := *c.tools[i]
		switch {
		case call.Name == "":
			return nil, badAnswer("tool call %d has no name", i)
		case call.ID == "":
			return nil, badAnswer("the call of tool %q has no id", call.Name)
		case slices.ContainsFunc(calls, func(other sdk.ToolCall) bool { return other.ID == call.ID }):
			return nil, badAnswer("two tool calls have the id %q", call.ID)
		}
		calls = append(calls, call)
	}
	return calls, nil
}

// modelName returns the reported name of a model as the database can store it.
func modelName(reported string) string {
	name := strings.ToValidUTF8(reported[:min(len(reported), maxModelName)], "")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, name)
}

// clampUsage returns u with counts from 0 to maxTokens.
func clampUsage(u sdk.Usage) sdk.Usage {
	for _, n := range []*int64{&u.InputTokens, &u.OutputTokens, &u.CachedInputTokens, &u.ReasoningTokens} {
		*n = min(max(*n, 0), maxTokens)
	}
	return u
}

// badAnswer returns the error of an answer that the provider assembled wrongly.
func badAnswer(format string, args ...any) *sdk.Error {
	return &sdk.Error{Code: sdk.CodeInternal, Message: "the answer is invalid: " + fmt.Sprintf(format, args...)}
}
