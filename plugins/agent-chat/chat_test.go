package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// host implements agent.Host with a script of answers and records the calls.
type host struct {
	// answers has an *agent.Answer or an error for each Complete.
	answers []any
	tools   []sdk.Tool
	calls   []string
	prompts []*agent.Completion
}

func (h *host) record(kind string, request any) {
	b, err := json.Marshal(request)
	if err != nil {
		panic(err)
	}
	h.calls = append(h.calls, kind+" "+string(b))
}

func (h *host) Complete(_ context.Context, req *agent.Completion) (*agent.Answer, error) {
	h.record("complete", struct{ Prompt any }{req.Messages})
	h.prompts = append(h.prompts, req)
	if len(h.answers) == 0 {
		return nil, errors.New("the script has no more answers")
	}
	next := h.answers[0]
	h.answers = h.answers[1:]
	if err, ok := next.(error); ok {
		return nil, err
	}
	return next.(*agent.Answer), nil
}

func (h *host) ListTools(context.Context) ([]sdk.Tool, error) {
	h.record("list_tools", nil)
	return h.tools, nil
}

func (h *host) CallTools(_ context.Context, calls []sdk.ToolCall) ([]sdk.ToolResult, error) {
	h.record("call_tools", calls)
	results := make([]sdk.ToolResult, len(calls))
	for i, c := range calls {
		results[i] = sdk.ToolResult{Parts: []sdk.Part{{Text: "result of " + c.ID}}, IsError: c.Name == "broken"}
	}
	return results, nil
}

func (h *host) ReadFile(_ context.Context, id string, _, _ int64) ([]byte, error) {
	h.record("read_file", id)
	return nil, errors.New("unexpected ReadFile")
}

func answerWith(text string) *agent.Answer {
	return &agent.Answer{Message: sdk.Text(sdk.RoleAssistant, text)}
}

func answerCalling(calls ...sdk.ToolCall) *agent.Answer {
	return &agent.Answer{Message: sdk.Message{Role: sdk.RoleAssistant, ToolCalls: calls}}
}

func tooLong() error { return &sdk.Error{Code: sdk.CodeContextTooLong, Message: "too long"} }

func start(config string, history ...sdk.Message) *agent.Run {
	return &agent.Run{
		ID: "run-1", Config: json.RawMessage(config), History: history, Input: sdk.Text(sdk.RoleUser, "input"),
	}
}

// transcript renders messages as one line.
func transcript(messages []sdk.Message) string {
	var out []string
	for _, m := range messages {
		s := string(m.Role) + ":" + m.Text()
		for _, c := range m.ToolCalls {
			s += "+" + c.ID
		}
		if m.ToolCallID != "" {
			s += "@" + m.ToolCallID
		}
		if m.ToolError {
			s += "!"
		}
		out = append(out, s)
	}
	return strings.Join(out, " | ")
}

func TestRun_answer(t *testing.T) {
	t.Parallel()
	h := &host{answers: []any{answerWith("hello")}}
	run := start(`{"model":"gpt-4o","system_prompt":"Be brief.","temperature":0,"max_tokens":2e2,"top_p":0.5,"stop":["END"]}`,
		sdk.Text(sdk.RoleUser, "one"), sdk.Text(sdk.RoleAssistant, "two"))
	message, err := chat{}.Run(t.Context(), run, h)
	if err != nil || message.Text() != "hello" {
		t.Fatalf("message = %v, err = %v", message, err)
	}
	if len(h.calls) != 1 {
		t.Errorf("calls = %v, want one: without MCP servers and tools there is no list_tools", h.calls)
	}
	p := h.prompts[0]
	if got := transcript(p.Messages); got != "system:Be brief. | user:one | assistant:two | user:input" {
		t.Errorf("prompt = %s", got)
	}
	if p.Model != "gpt-4o" || *p.Temperature != 0 || *p.MaxTokens != 200 || *p.TopP != 0.5 || len(p.Stop) != 1 ||
		!p.Forward || !p.Final {
		t.Errorf("completion = %+v", p)
	}
}

func TestRun_toolCalls(t *testing.T) {
	t.Parallel()
	h := &host{
		tools: []sdk.Tool{{Name: "clock"}, {Name: "broken"}},
		answers: []any{
			answerCalling(sdk.ToolCall{ID: "a", Name: "clock", Arguments: "{}"},
				sdk.ToolCall{ID: "b", Name: "broken", Arguments: "{}"}),
			answerCalling(sdk.ToolCall{ID: "c", Name: "clock", Arguments: "{}"}),
			answerWith("noon"),
		},
	}
	message, err := chat{}.Run(t.Context(), start(`{"model":"m","mcp_servers":["time"]}`), h)
	if err != nil || message.Text() != "noon" {
		t.Fatalf("message = %v, err = %v", message, err)
	}
	kinds := make([]string, 0, len(h.calls))
	for _, c := range h.calls {
		kind, _, _ := strings.Cut(c, " ")
		kinds = append(kinds, kind)
	}
	if got := strings.Join(kinds, " "); got != "list_tools complete call_tools complete call_tools complete" {
		t.Errorf("calls = %s", got)
	}
	want := "user:input | assistant:+a+b | tool:result of a@a | tool:result of b@b! | assistant:+c | tool:result of c@c"
	if got := transcript(h.prompts[2].Messages); got != want {
		t.Errorf("prompt = %s", got)
	}
	if len(h.prompts[0].Tools) != 2 {
		t.Errorf("tools = %v", h.prompts[0].Tools)
	}
}

func TestRun_maxSteps(t *testing.T) {
	t.Parallel()
	again := answerCalling(sdk.ToolCall{ID: "a", Name: "clock"})
	h := &host{answers: []any{again, again, again}}
	_, err := chat{}.Run(t.Context(), start(`{"model":"m","tools":["*"],"max_steps":2}`), h)
	e := sdk.AsError(err)
	if e.Code != sdk.CodeMaxSteps || !strings.Contains(e.Message, "clock after 2 steps") {
		t.Errorf("err = %v", err)
	}
	// No completion would read the results of the last step's calls.
	if len(h.prompts) != 2 || strings.HasPrefix(h.calls[len(h.calls)-1], "call_tools") {
		t.Errorf("calls = %v", h.calls)
	}
}

func TestRun_hostError(t *testing.T) {
	t.Parallel()
	limited := &sdk.Error{Code: sdk.CodeRateLimited, Message: "slow down", Retryable: true}
	h := &host{answers: []any{limited}}
	if _, err := (chat{}).Run(t.Context(), start(`{"model":"m"}`), h); !errors.Is(err, limited) || len(h.calls) != 1 {
		t.Errorf("err = %v after %d calls, want %v after 1", err, len(h.calls), limited)
	}
}

func TestRun_contextTooLong(t *testing.T) {
	t.Parallel()
	history := make([]sdk.Message, 0, 16)
	for i := range 8 {
		history = append(history, sdk.Text(sdk.RoleUser, fmt.Sprint("q", i)), sdk.Text(sdk.RoleAssistant, fmt.Sprint("a", i)))
	}
	tests := []struct {
		name    string
		history []sdk.Message
		answers []any
		// lengths has the number of messages of each prompt.
		lengths []int
		code    sdk.ErrorCode
	}{
		{"halved once", history, []any{tooLong(), answerWith("ok")}, []int{18, 8}, ""},
		{"halved twice", history, []any{tooLong(), tooLong(), answerWith("ok")}, []int{18, 8, 4}, ""},
		{"not halved a third time", history, []any{tooLong(), tooLong(), tooLong(), answerWith("ok")}, []int{18, 8, 4}, sdk.CodeContextTooLong},
		{"nothing to drop", nil, []any{tooLong(), answerWith("ok")}, []int{2}, sdk.CodeContextTooLong},
		{
			"stays halved", history,
			[]any{tooLong(), answerCalling(sdk.ToolCall{ID: "a", Name: "clock"}), answerWith("ok")},
			[]int{18, 8, 8},
			"",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := &host{answers: tt.answers}
			_, err := chat{}.Run(t.Context(), start(`{"model":"m","system_prompt":"s"}`, tt.history...), h)
			if code := codeOf(err); code != tt.code {
				t.Errorf("err = %v", err)
			}
			var lengths []int
			for _, p := range h.prompts {
				lengths = append(lengths, len(p.Messages))
				if p.Messages[0].Role != sdk.RoleSystem || p.Messages[1].Role != sdk.RoleUser {
					t.Errorf("prompt = %s", transcript(p.Messages))
				}
			}
			if fmt.Sprint(lengths) != fmt.Sprint(tt.lengths) {
				t.Errorf("lengths = %v, want %v", lengths, tt.lengths)
			}
		})
	}
}

func codeOf(err error) sdk.ErrorCode {
	if err == nil {
		return ""
	}
	return sdk.AsError(err).Code
}

// A replayed run makes the same host calls with the same requests.
func TestRun_replay(t *testing.T) {
	t.Parallel()
	history := make([]sdk.Message, 0, 40)
	for i := range 20 {
		history = append(history, sdk.Text(sdk.RoleUser, strings.Repeat("q", 10*i)),
			sdk.Text(sdk.RoleAssistant, strings.Repeat("a", 30)))
	}
	play := func(answers int) []string {
		h := &host{
			tools: []sdk.Tool{{Name: "clock", Parameters: `{"type":"object"}`}},
			answers: []any{
				tooLong(), answerCalling(sdk.ToolCall{ID: "a", Name: "clock"}, sdk.ToolCall{ID: "b", Name: "broken"}),
				tooLong(), answerCalling(sdk.ToolCall{ID: "c", Name: "clock"}), answerWith("done"),
			}[:answers],
		}
		_, _ = chat{}.Run(t.Context(), start(`{"model":"m","tools":["*"],"context_tokens":600}`, history...), h)
		return h.calls
	}
	complete := play(5)
	if len(complete) != 8 {
		t.Fatalf("got %d calls, want 8: %v", len(complete), complete)
	}
	// The run is interrupted after each possible number of answers.
	for answers := range 6 {
		for i, call := range play(answers) {
			if call != complete[i] {
				t.Errorf("after %d answers call %d = %s, want %s", answers, i, call, complete[i])
			}
		}
	}
}
