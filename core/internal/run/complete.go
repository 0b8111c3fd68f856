package run

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

const (
	// maxAnswer bounds the bytes of one answer, so that a provider gone mad
	// can't fill the memory.
	maxAnswer = 8 << 20
	// maxCrashes is how often a completion is asked again when its provider's
	// process died before it delivered anything.
	maxCrashes = 2
)

func (x *execution) performComplete(ctx context.Context, req *agent.Completion, record *core.Call) (*agent.Result, error) {
	record.Request = marshal(struct {
		Model    string `json:"model"`
		Messages int    `json:"messages"`
		Tools    int    `json:"tools"`
	}{req.Model, len(req.Messages), len(req.Tools)})
	answer, modelID, err := x.askProvider(ctx, req)
	var result *agent.Result
	if err == nil {
		result = &agent.Result{Answer: answer}
		record.Model, record.ModelID, record.Usage = answer.Model, modelID, answer.Usage
	}
	if !settle(ctx, record, result, err) {
		return nil, err
	}
	if err == nil && req.Final && len(answer.Message.ToolCalls) == 0 {
		return result, x.end(ending{
			status: core.RunCompleted, answer: &answer.Message, call: record, finish: answer.FinishReason,
		})
	}
	var data []byte
	if err == nil {
		data = usageEvent(record)
	}
	if kept := x.keep(record, events.TypeUsage, data); kept != nil {
		return nil, kept
	}
	return result, err
}

// askProvider asks the model's provider, and once more when the provider's
// process died before it delivered anything. The model's id is that of GET /v1/models.
func (x *execution) askProvider(ctx context.Context, req *agent.Completion) (answer *agent.Answer, modelID string, err error) {
	ctx, span := x.beginChat(ctx, req)
	defer func() { endChat(span, answer, err) }()
	var messages []sdk.Message
	var begun time.Time
	for crashes := 0; ; crashes++ {
		label, name, provider, err := x.engine.Plugins.Provider(ctx, req.Model)
		if err != nil {
			return nil, "", err
		}
		named(span, label, name)
		if messages == nil {
			if messages, err = x.expand(ctx, req); err != nil {
				return nil, "", err
			}
		}
		if begun.IsZero() {
			begun = time.Now()
		}
		c := &collector{x: x, req: req}
		finish, err := provider.Chat(ctx, &llm.Request{
			Model: name, Messages: messages, Tools: req.Tools,
			Parameters: llm.Parameters{
				Temperature: req.Temperature, MaxTokens: req.MaxTokens, TopP: req.TopP, Stop: req.Stop,
			},
			Stream: x.streams(req), RunID: x.run.ID,
		}, c)
		switch {
		case err == nil:
			x.engine.Metrics.Completion(label, name, time.Since(begun), c.firstAfter(begun), finish.Usage, "")
			return c.answer(finish), label + "/" + name, nil
		case toSDK(err).Code == sdk.CodePluginCrashed && !c.delivered && crashes < maxCrashes && ctx.Err() == nil:
			x.log.WarnContext(ctx, "provider died before it delivered anything: asking again", "provider", label, "error", err)
			x.engine.Metrics.CompletionRetried(label)
		default:
			x.engine.Metrics.Completion(label, name, time.Since(begun), c.firstAfter(begun), sdk.Usage{}, toSDK(err).Code)
			return nil, "", blame(label, err)
		}
	}
}

// streams says whether the provider shall send the answer in pieces.
func (x *execution) streams(req *agent.Completion) bool { return x.run.Stream || req.OnDelta != nil }

// blame says whose error it is. A crash says so itself.
func blame(label string, err error) error {
	var e *sdk.Error
	if !errors.As(err, &e) || e.Code == sdk.CodePluginCrashed {
		return err
	}
	named := *e
	named.Message = fmt.Sprintf("provider %q: %s", label, e.Message)
	return &named
}

// collector takes the pieces of an answer: it passes the text on and puts the
// message together.
type collector struct {
	x         *execution
	req       *agent.Completion
	text      strings.Builder
	tools     map[int]*sdk.ToolCall
	delivered bool
	first     time.Time
	size      int
}

// Send implements llm.Stream.
func (c *collector) Send(d llm.Delta) error { return c.SendBatch([]llm.Delta{d}) }

// SendBatch takes the pieces that came in one message.
func (c *collector) SendBatch(deltas []llm.Delta) error {
	if !c.delivered && len(deltas) > 0 {
		c.delivered, c.first = true, time.Now()
	}
	texts := make([]string, 0, len(deltas))
	for _, d := range deltas {
		if d.Text != "" {
			texts = append(texts, d.Text)
			c.text.WriteString(d.Text)
		}
		if d.ToolCall != nil {
			c.toolCall(d.ToolCall)
		}
		c.size += len(d.Text) + len(d.Reasoning)
	}
	if c.size > maxAnswer {
		return &sdk.Error{Code: sdk.CodeInvalidRequest, Message: fmt.Sprintf("the answer is longer than %d MiB", maxAnswer>>20)}
	}
	c.pass(texts)
	return nil
}

// firstAfter is how long after begun the first piece of a stream came; 0 when none did.
func (c *collector) firstAfter(begun time.Time) time.Duration {
	if !c.delivered || !c.x.streams(c.req) {
		return 0
	}
	return c.first.Sub(begun)
}

func (c *collector) toolCall(d *llm.ToolCallDelta) {
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

// pass hands text on to the watchers and to the loop, as the loop wants it.
func (c *collector) pass(texts []string) {
	if len(texts) == 0 {
		return
	}
	if c.req.Forward {
		c.x.forward(texts)
	}
	if c.req.OnDelta != nil {
		for _, text := range texts {
			c.req.OnDelta(text)
		}
	}
}

// forward shows text to the watchers, unless the run has ended meanwhile.
func (x *execution) forward(texts []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ending {
		return
	}
	if !x.shown {
		x.shown = true
		x.engine.Metrics.FirstToken(x.run.Kind, time.Since(x.begun))
	}
	for _, text := range texts {
		x.partial.WriteString(text)
	}
	x.stream.Tokens(texts)
}

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
