package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

func user(text string) sdk.Message      { return sdk.Text(sdk.RoleUser, text) }
func assistant(text string) sdk.Message { return sdk.Text(sdk.RoleAssistant, text) }

func calls(ids ...string) sdk.Message {
	m := sdk.Message{Role: sdk.RoleAssistant}
	for _, id := range ids {
		m.ToolCalls = append(m.ToolCalls, sdk.ToolCall{ID: id, Name: "f"})
	}
	return m
}

func result(id, text string) sdk.Message {
	return sdk.Message{Role: sdk.RoleTool, ToolCallID: id, Parts: []sdk.Part{{Text: text}}}
}

// long returns a text of the given size, by the estimate of tokensOf.
func long(tokens int) string { return strings.Repeat("long", tokens) }

func TestWindow(t *testing.T) {
	t.Parallel()
	big := long(390)
	tests := []struct {
		name    string
		config  string
		history []sdk.Message
		rounds  [][]sdk.Message
		want    string
	}{
		{"all fits", `{}`, []sdk.Message{user("a"), assistant("b")}, nil, "user:a | assistant:b | user:input"},
		{"the newest messages are kept", `{"context_tokens":400}`, []sdk.Message{user(big), assistant("b"), user("c"), assistant("d")}, nil, "user:c | assistant:d | user:input"},
		{"history starts with a user message", `{}`, []sdk.Message{assistant("a"), user("b")}, nil, "user:b | user:input"},
		{"an answer whose question is dropped", `{"context_tokens":256}`, []sdk.Message{user(big), assistant("b")}, nil, "user:input"},
		{"no gap in the history", `{"context_tokens":400}`, []sdk.Message{user("a"), assistant(long(500)), user("c")}, nil, "user:c | user:input"},
		{"max_tokens is reserved", `{"context_tokens":1000,"max_tokens":700}`, []sdk.Message{user(big), assistant("b"), user("c")}, nil, "user:c | user:input"},
		{"max_tokens above the context", `{"context_tokens":1000,"max_tokens":5000}`, []sdk.Message{user("a"), assistant(big), user("c")}, nil, "user:c | user:input"},
		{"history_messages", `{"history_messages":2}`, []sdk.Message{user("a"), assistant("b"), user("c"), assistant("d")}, nil, "user:c | assistant:d | user:input"},
		{"no history", `{"history_messages":0}`, []sdk.Message{user("a"), assistant("b")}, nil, "user:input"},
		{
			"the system prompt counts and is kept", `{"context_tokens":256,"system_prompt":"` + long(400) + `"}`,
			[]sdk.Message{user("a")},
			nil,
			"system:" + long(400) + " | user:input",
		},
		{
			"calls and results stay together", `{"context_tokens":400}`,
			[]sdk.Message{
				user("a"), calls("x", "y"), result("x", big), result("y", "small"), assistant("b"), user("c"), assistant("d"),
			},
			nil,
			"user:c | assistant:d | user:input",
		},
		{
			"calls and results fit", `{}`,
			[]sdk.Message{user("a"), calls("x"), result("x", "r"), assistant("b")},
			nil,
			"user:a | assistant:+x | tool:r@x | assistant:b | user:input",
		},
		{
			"tool calls do not count as history_messages", `{"history_messages":3}`,
			[]sdk.Message{user("0"), user("a"), calls("x"), result("x", "r"), assistant("b"), user("c")},
			nil,
			"user:a | assistant:+x | tool:r@x | assistant:b | user:c | user:input",
		},
		{
			"tool calls without the message before them", `{"history_messages":2}`,
			[]sdk.Message{user("a"), calls("x"), result("x", "r"), assistant("b"), user("c")},
			nil,
			"user:c | user:input",
		},
		{
			"calls without results", `{}`,
			[]sdk.Message{user("a"), calls("x", "y"), result("x", "r"), user("c")},
			nil,
			"user:a | user:c | user:input",
		},
		{
			"rounds take precedence over history", `{"context_tokens":700}`,
			[]sdk.Message{user(big), assistant("b")},
			[][]sdk.Message{{calls("x"), result("x", big)}, {calls("y"), result("y", "r")}},
			"user:input | assistant:+x | tool:" + big + "@x | assistant:+y | tool:r@y",
		},
		{
			"the newest round is kept", `{"context_tokens":400}`,
			[]sdk.Message{user("a")},
			[][]sdk.Message{{calls("x"), result("x", "r")}, {calls("y"), result("y", long(900))}},
			"user:input | assistant:+y | tool:" + long(900) + "@y",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := readConfig(json.RawMessage(tt.config))
			if err != nil {
				t.Fatal(err)
			}
			w := newWindow(c, &agent.Run{History: tt.history, Input: user("input")}, nil)
			for _, r := range tt.rounds {
				w.add(r[0], []sdk.ToolResult{{Parts: r[1].Parts}})
			}
			if got := transcript(w.messages()); got != tt.want {
				t.Errorf("prompt = %s\nwant     %s", abbreviate(got), abbreviate(tt.want))
			}
		})
	}
}

// abbreviate collapses the texts of long to one word each.
func abbreviate(s string) string {
	for i := len(s); i > 0; i-- {
		s = strings.ReplaceAll(s, "longlong", "long")
		if !strings.Contains(s, "longlong") {
			break
		}
	}
	return s
}

func TestTokensOf_file(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		role      sdk.Role
		mediaType string
		size      int64
		from, to  int64
	}{
		{sdk.RoleUser, "text/plain; charset=utf-8", 4_000, 1_000, 1_100},
		{sdk.RoleUser, "application/json", 1 << 40, 25_000, 25_100},
		{sdk.RoleUser, "image/png", 5 << 20, 1_000, 2_000},
		{sdk.RoleUser, "application/pdf", 5 << 20, 10, 100},
		{sdk.RoleAssistant, "text/plain", 4_000, 10, 100},
		{sdk.RoleTool, "image/png", 4_000, 10, 100},
	} {
		m := sdk.Message{Role: tt.role, Parts: []sdk.Part{{File: &sdk.File{MediaType: tt.mediaType, Size: tt.size}}}}
		if n := tokensOf(m); n < tt.from || n > tt.to {
			t.Errorf("tokensOf(%s message with %s of %d bytes) = %d, want %d to %d",
				tt.role, tt.mediaType, tt.size, n, tt.from, tt.to)
		}
	}
}

// A file of an earlier turn is dropped together with its message when it does not fit, and is
// otherwise passed to the host unchanged.
func TestWindow_fileInHistory(t *testing.T) {
	t.Parallel()
	file := func(size int64) sdk.Message {
		return sdk.Message{Role: sdk.RoleUser, Parts: []sdk.Part{
			{Text: "see"}, {File: &sdk.File{ID: "file-1", Name: "a.txt", MediaType: "text/plain", Size: size}},
		}}
	}
	h := &host{answers: []any{answerWith("ok"), answerWith("ok")}}
	for _, size := range []int64{400, 40_000} {
		if _, err := (chat{}).Run(t.Context(),
			start(`{"model":"m","context_tokens":1000}`, file(size), assistant("seen")), h); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := transcript(h.prompts[0].Messages), "user:see | assistant:seen | user:input"; got != want {
		t.Errorf("prompt with a small file = %s, want %s", got, want)
	}
	if f := h.prompts[0].Messages[0].Parts[1].File; f == nil || f.ID != "file-1" {
		t.Errorf("file = %+v, want file-1", f)
	}
	if got, want := transcript(h.prompts[1].Messages), "user:input"; got != want {
		t.Errorf("prompt with a large file = %s, want %s", got, want)
	}
}

func TestTokensOf_image(t *testing.T) {
	t.Parallel()
	image := sdk.Message{
		Role: sdk.RoleUser, Parts: []sdk.Part{{Blob: &sdk.Blob{MediaType: "image/png", Data: make([]byte, 1<<20)}}},
	}
	if n := tokensOf(image); n < 1000 || n > 2000 {
		t.Errorf("tokensOf(image of 1 MiB) = %d, want 1000 to 2000", n)
	}
}
