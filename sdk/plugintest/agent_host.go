package plugintest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// scripted is a host that always returns the same replies and records the calls.
type scripted struct {
	// before, if set, is called before each reply.
	before func(ctx context.Context, call *agent.Call) error

	mu    sync.Mutex
	calls []string
	// prompts contains the messages of each completion.
	prompts [][]sdk.Message
}

// Handle implements agent.Handler.
func (h *scripted) Handle(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	h.record(call)
	if h.before != nil {
		if err := h.before(ctx, call); err != nil {
			return nil, err
		}
	}
	switch {
	case call.Complete != nil:
		return &agent.Result{Answer: h.complete(call.Complete)}, nil
	case call.ListTools:
		return &agent.Result{Tools: []sdk.Tool{addTool}}, nil
	case call.CallTool != nil:
		return &agent.Result{ToolResult: &sdk.ToolResult{Parts: []sdk.Part{{Text: resultOf(call.CallTool.ID)}}}}, nil
	case call.ReadFile != nil:
		return &agent.Result{Data: []byte{}}, nil
	}
	return nil, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "plugintest does not support this call"}
}

func resultOf(id string) string { return "the result of " + id + ": " + unicodeText }

// record stores the content of a call.
func (h *scripted) record(call *agent.Call) {
	var parts []any
	if c := call.Complete; c != nil {
		parts = append(parts, "complete", c.Model, c.Messages, c.Tools, c.Temperature, c.MaxTokens, c.TopP, c.Stop,
			c.Forward, c.Final)
	}
	parts = append(parts, call.CallTool, call.ListTools, call.ReadFile)
	data, err := json.Marshal(parts)
	if err != nil {
		data = []byte(err.Error())
	}
	text := fmt.Sprintf("%6d: %s", call.Number, data)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, text)
}

// recorded returns the calls in the order of their numbers.
func (h *scripted) recorded() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	calls := slices.Clone(h.calls)
	slices.Sort(calls)
	return calls
}

// toolCallIDs are the IDs of the tool calls that the model requests.
var toolCallIDs = []string{"call-1", "call-2"}

func (h *scripted) complete(req *agent.Completion) *agent.Answer {
	h.mu.Lock()
	h.prompts = append(h.prompts, req.Messages)
	h.mu.Unlock()
	a := &agent.Answer{
		Message: sdk.Text(sdk.RoleAssistant, "That makes 5 and 9. "+unicodeText), FinishReason: "stop",
		Usage: sdk.Usage{InputTokens: 10, OutputTokens: 5}, Model: req.Model,
	}
	if len(req.Tools) > 0 && !hasToolResult(req.Messages) {
		a.Message, a.FinishReason = sdk.Text(sdk.RoleAssistant, ""), "tool_calls"
		for i, arguments := range []string{`{"a":2,"b":3}`, `{"a":4,"b":5}`} {
			a.Message.ToolCalls = append(a.Message.ToolCalls,
				sdk.ToolCall{ID: toolCallIDs[i], Name: addTool.Name, Arguments: arguments})
		}
	}
	return a
}

func hasToolResult(messages []sdk.Message) bool {
	return slices.ContainsFunc(messages, func(m sdk.Message) bool { return m.Role == sdk.RoleTool })
}

// checkToolResults checks that the model received the result of each tool call, with its ID.
func (h *scripted) checkToolResults(t *testing.T) {
	t.Helper()
	received := map[string]bool{}
	for _, messages := range h.prompts {
		for _, problem := range slices.Concat(resultProblems(messages), orderProblems(messages)) {
			t.Errorf("a completion after tool calls is wrong: %s", problem)
		}
		for _, m := range messages {
			received[m.ToolCallID] = true
		}
	}
	if !slices.ContainsFunc(h.prompts, hasToolResult) {
		return // an agent type without tools
	}
	for _, id := range toolCallIDs {
		if !received[id] {
			t.Errorf("no completion contains a result of the tool call %s, want one of each call of an answer: the model "+
				"requested %q", id, toolCallIDs)
		}
	}
}

// resultProblems returns which tool results do not belong to the tool call whose ID they have.
func resultProblems(messages []sdk.Message) []string {
	var problems []string
	for _, m := range messages {
		switch {
		case m.Role != sdk.RoleTool:
		case m.ToolCallID == "":
			problems = append(problems, fmt.Sprintf("a tool result has no tool_call_id: %q", m.Text()))
		case !slices.Contains(toolCallIDs, m.ToolCallID):
			problems = append(problems, fmt.Sprintf("a tool result has the ID %q, want one of %q", m.ToolCallID, toolCallIDs))
		case !strings.Contains(m.Text(), resultOf(m.ToolCallID)):
			problems = append(problems, fmt.Sprintf("the result of %s has the ID of another call, or another text: %q",
				m.ToolCallID, m.Text()))
		}
	}
	return problems
}

// orderProblems returns the results that do not follow the message with their call, and the calls whose results do not
// follow them. Providers reject both.
func orderProblems(messages []sdk.Message) []string {
	var problems []string
	open := map[string]bool{}
	unanswered := func() {
		for _, id := range slices.Sorted(maps.Keys(open)) {
			problems = append(problems, fmt.Sprintf("the tool call %q has no result before the next message", id))
		}
		clear(open)
	}
	for _, m := range messages {
		if m.Role == sdk.RoleTool {
			if !open[m.ToolCallID] {
				problems = append(problems, fmt.Sprintf("the result with the ID %q does not follow a message with this tool call",
					m.ToolCallID))
			}
			delete(open, m.ToolCallID)
			continue
		}
		unanswered()
		for _, call := range m.ToolCalls {
			open[call.ID] = true
		}
	}
	unanswered()
	return problems
}
