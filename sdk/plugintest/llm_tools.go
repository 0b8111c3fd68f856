package plugintest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

// addTool is the tool of requests.
var addTool = sdk.Tool{
	Name: "plugintest_add", Description: "Adds two numbers.",
	Parameters: `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"]}`,
}

// maxToolCalls is the maximum number of tool calls in an answer that the server accepts.
const maxToolCalls = 128

// answer is an llm.Stream that collects the pieces of an answer.
type answer struct {
	text   strings.Builder
	calls  []sdk.ToolCall
	pieces int
	// problems are the deltas that violate the protocol.
	problems []string
	// first, if set, is closed when the first piece arrives.
	first chan struct{}
}

// Send implements llm.Stream.
func (a *answer) Send(d llm.Delta) error {
	a.pieces++
	if a.pieces == 1 && a.first != nil {
		close(a.first)
	}
	a.text.WriteString(d.Text)
	c := d.ToolCall
	if c == nil {
		return nil
	}
	if c.Index < 0 || c.Index >= maxToolCalls {
		a.problems = append(a.problems, fmt.Sprintf("a delta has the tool call index %d, want 0 for the first call, and at "+
			"most %d", c.Index, maxToolCalls-1))
		return nil
	}
	for len(a.calls) <= c.Index {
		a.calls = append(a.calls, sdk.ToolCall{})
	}
	call := &a.calls[c.Index]
	call.ID += c.ID
	call.Name += c.Name
	call.Arguments += c.Arguments
	return nil
}

// tools checks that the model requests a tool call, and answers when it has the result.
func (s *llmChecks) tools(t *testing.T) {
	if s.script.ToolPrompt == "" {
		missing(t, "tool_prompt")
	}
	s.callTools(t, s.script.ToolPrompt, 1)
}

// parallelTools checks that several tool calls in one answer arrive.
func (s *llmChecks) parallelTools(t *testing.T) {
	if s.script.ParallelToolPrompt == "" {
		missing(t, "parallel_tool_prompt")
	}
	s.callTools(t, s.script.ParallelToolPrompt, 2)
}

// callTools checks that a prompt leads to at least want tool calls, and that the model answers when it has their
// results.
func (s *llmChecks) callTools(t *testing.T, prompt string, want int) {
	t.Helper()
	req := s.request(true, prompt, addTool)
	a, finish := s.ask(t, req)
	if a == nil {
		return
	}
	if len(a.calls) < want || finish.Reason != llm.FinishToolCalls {
		t.Fatalf("the answer to %q has %d tool calls and ended with %q, want at least %d and %q",
			prompt, len(a.calls), finish.Reason, want, llm.FinishToolCalls)
	}
	message := sdk.Text(sdk.RoleAssistant, a.text.String())
	message.ToolCalls = a.calls
	req.Messages = append(req.Messages, message)
	ids := map[string]bool{}
	for _, call := range a.calls {
		var arguments map[string]any
		if err := json.Unmarshal([]byte(call.Arguments), &arguments); err != nil || arguments == nil {
			t.Errorf("the arguments %q are not a JSON object: %v", call.Arguments, err)
		}
		if call.ID == "" || ids[call.ID] || call.Name != addTool.Name {
			t.Errorf("got the tool call %+v, want an ID that no other call has, and the name %s", call, addTool.Name)
		}
		ids[call.ID] = true
		result := sdk.Text(sdk.RoleTool, "5")
		result.ToolCallID = call.ID
		req.Messages = append(req.Messages, result)
	}
	if a, finish = s.ask(t, req); a != nil && (a.text.Len() == 0 || finish.Reason != llm.FinishStop) {
		t.Errorf("the answer to the tool result is %q and ended with %q, want a text and %q",
			a.text.String(), finish.Reason, llm.FinishStop)
	}
}
