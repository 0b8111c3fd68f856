package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/plugin"
)

// recorder records the deltas of an answer.
type recorder struct {
	texts []string
	calls []sdk.ToolCall
	// sent, if set, is called after each delta.
	sent func()
}

func (s *recorder) Send(d llm.Delta) error {
	if c := d.ToolCall; c != nil {
		s.calls = append(s.calls, sdk.ToolCall{ID: c.ID, Name: c.Name, Arguments: c.Arguments})
	} else {
		s.texts = append(s.texts, d.Text)
	}
	if s.sent != nil {
		s.sent()
	}
	return nil
}

// newTestProvider returns a provider, and the code that it exits with, or -1.
func newTestProvider(allowCrash bool) (*provider, *int) {
	code := -1
	return &provider{
		config: config{Models: []string{"echo"}, AllowCrash: allowCrash}, exit: func(c int) { code = c },
	}, &code
}

// newRequest returns a request whose last message is the text.
func newRequest(text string) *llm.Request {
	return &llm.Request{Model: "echo", Stream: true, Messages: []sdk.Message{
		sdk.Text(sdk.RoleSystem, "Be brief."), sdk.Text(sdk.RoleUser, "earlier"),
		sdk.Text(sdk.RoleAssistant, "earlier"), sdk.Text(sdk.RoleUser, text),
	}}
}

// withParts sets the parts of the last message.
func withParts(parts ...sdk.Part) func(*llm.Request) {
	return func(r *llm.Request) { r.Messages[len(r.Messages)-1].Parts = parts }
}

func ptr[T any](v T) *T { return &v }

func TestChat(t *testing.T) {
	t.Parallel()
	clock := []sdk.Tool{{Name: "clock"}, {Name: "files__read"}}
	tests := []struct {
		name   string
		text   string
		change func(*llm.Request)
		pieces []string
		calls  string
		reason llm.FinishReason
		output int64
	}{
		{name: "word by word", text: "Hello,  big\nworld ", pieces: []string{"Hello,", "  big", "\nworld", " "}, output: 4},
		{name: "not streamed", text: "Hello, big world", change: func(r *llm.Request) { r.Stream = false }, pieces: []string{"Hello, big world"}, output: 3},
		{name: "not a directive", text: "/shrug at /tokens 5", pieces: []string{"/shrug", " at", " /tokens", " 5"}, output: 4},
		{name: "empty", text: "", pieces: []string{"(nothing", " to", " echo)"}, output: 3},
		{name: "tokens", text: "/tokens 3 /delay 1ms and this is not echoed", pieces: []string{"token-1", " token-2", " token-3"}, output: 3},
		{name: "no tokens", text: "/tokens 0"},
		{name: "delay", text: "/delay 1ms a b", pieces: []string{"a", " b"}, output: 2},
		{
			name: "max_tokens", text: "a b c", change: func(r *llm.Request) { r.MaxTokens = ptr(int64(2)) },
			pieces: []string{"a", " b"}, reason: llm.FinishLength, output: 2,
		},
		{name: "stop", text: "a b END c", change: func(r *llm.Request) { r.Stop = []string{"c", "END"} }, pieces: []string{"a", " b", " "}, output: 3},
		{
			name: "a photo", text: "look", change: withParts(
				sdk.Part{Text: "look"},
				sdk.Part{Blob: &sdk.Blob{MediaType: "image/png", Name: "photo.png", Data: make([]byte, 68)}},
				sdk.Part{Blob: &sdk.Blob{MediaType: "image/gif"}}),
			pieces: splitWords("look\n[image/png photo.png 68 bytes]\n[image/gif 0 bytes]"), output: 8,
		},
		{
			name:   "a photo alone",
			change: withParts(sdk.Part{Blob: &sdk.Blob{MediaType: "image/png", Name: "p", Data: []byte{1}}}),
			pieces: splitWords("[image/png p 1 bytes]"), output: 4,
		},
		{
			name: "a photo and a directive", change: withParts(
				sdk.Part{Blob: &sdk.Blob{MediaType: "image/png", Name: "p", Data: []byte{1}}}, sdk.Part{Text: "/delay 1ms look"}),
			pieces: splitWords("look\n[image/png p 1 bytes]"), output: 5,
		},
		{
			name: "tools", text: `/tool clock {"zone":"UTC"} /tool files__read {}`,
			change: func(r *llm.Request) { r.Tools = clock },
			calls:  `[{call_4_0 clock {"zone":"UTC"}} {call_4_1 files__read {}}]`, reason: llm.FinishToolCalls, output: 2,
		},
		{
			name: "unknown tool", text: `/tool hammer {}`, change: func(r *llm.Request) { r.Tools = clock },
			pieces: splitWords(`Tool "hammer" is not available. Available tools: clock, files__read.`), output: 9,
		},
		{
			name: "tool results", text: `/tool clock {}`, change: func(r *llm.Request) {
				r.Messages = append(r.Messages,
					sdk.Message{
						Role: sdk.RoleAssistant, ToolCalls: []sdk.ToolCall{{ID: "a", Name: "clock"}, {ID: "b", Name: "clock"}},
					},
					sdk.Message{Role: sdk.RoleTool, ToolCallID: "a", Parts: []sdk.Part{{Text: "noon"}}},
					sdk.Message{Role: sdk.RoleTool, ToolCallID: "b", Parts: []sdk.Part{{Text: "1 pm"}}})
			},
			pieces: []string{"noon", "\n1", " pm"}, output: 3,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _ := newTestProvider(false)
			req := newRequest(tt.text)
			if tt.change != nil {
				tt.change(req)
			}
			if tt.reason == "" {
				tt.reason = llm.FinishStop
			}
			if tt.calls == "" {
				tt.calls = "[]"
			}
			// Twice, because the answer must be the same every time.
			for range 2 {
				var out recorder
				finish, err := p.Chat(t.Context(), req, &out)
				if err != nil {
					t.Fatal(err)
				}
				if fmt.Sprintf("%q", out.texts) != fmt.Sprintf("%q", tt.pieces) || fmt.Sprint(out.calls) != tt.calls {
					t.Errorf("pieces = %q, calls = %v, want %q, %s", out.texts, out.calls, tt.pieces, tt.calls)
				}
				if finish.Reason != tt.reason || finish.Usage.OutputTokens != tt.output || finish.Model != "echo" ||
					finish.Usage.InputTokens < 4 {
					t.Errorf("finish = %+v", finish)
				}
			}
		})
	}
}

// The directives of a message that failed do not apply to the next message, with which the server joins it.
func TestChat_joinedMessages(t *testing.T) {
	t.Parallel()
	p, _ := newTestProvider(false)
	req := newRequest("")
	withParts(sdk.Part{Text: "/error unavailable"}, sdk.Part{Text: "\n\nhello"}, sdk.Part{Text: "\n[file a.txt]\n"})(req)
	var out recorder
	if _, err := p.Chat(t.Context(), req, &out); err != nil || strings.Join(out.texts, "") != "hello\n[file a.txt]\n" {
		t.Errorf("Chat() = %q, %v, want hello and the file", out.texts, err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text      string
		code      sdk.ErrorCode
		retryable bool
		message   string
		pieces    int
	}{
		{"/error unavailable", sdk.CodeUnavailable, true, "", 0},
		{"/error rate_limited", sdk.CodeRateLimited, true, "", 0},
		{"/tokens 3 /error internal", sdk.CodeInternal, false, "", 3},
		{"/error whatever", sdk.CodeInvalidRequest, false, "requires a code", 0},
		{"/error", sdk.CodeInvalidRequest, false, "requires a code", 0},
		{"/tokens many", sdk.CodeInvalidRequest, false, "/tokens 50", 0},
		{"/tokens 1000000", sdk.CodeInvalidRequest, false, "100000", 0},
		{"/delay 1h", sdk.CodeInvalidRequest, false, "/delay 20ms", 0},
		{"/tool clock", sdk.CodeInvalidRequest, false, "JSON object", 0},
		{"/tool clock [1]", sdk.CodeInvalidRequest, false, "JSON object", 0},
		{"/crash", sdk.CodeInvalidRequest, false, "allow_crash", 0},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			p, code := newTestProvider(false)
			var out recorder
			_, err := p.Chat(t.Context(), newRequest(tt.text), &out)
			e := sdk.AsError(err)
			if e.Code != tt.code || e.Retryable != tt.retryable || !strings.Contains(e.Message, tt.message) {
				t.Errorf("err = %+v", e)
			}
			if len(out.texts) != tt.pieces || *code != -1 {
				t.Errorf("pieces = %q, exit = %d", out.texts, *code)
			}
		})
	}
}

func TestCrash(t *testing.T) {
	t.Parallel()
	p, code := newTestProvider(true)
	var out recorder
	if _, err := p.Chat(t.Context(), newRequest("/tokens 2 /crash"), &out); err != nil || *code != 3 ||
		len(out.texts) != 2 {
		t.Errorf("pieces = %q, exit = %d, err = %v", out.texts, *code, err)
	}
}

func TestUnknownModel(t *testing.T) {
	t.Parallel()
	p, _ := newTestProvider(false)
	_, err := p.Chat(t.Context(), &llm.Request{Model: "gpt-4o"}, &recorder{})
	if e := sdk.AsError(err); e.Code != sdk.CodeNotFound || !strings.Contains(e.Message, "available models: echo") {
		t.Errorf("err = %v", err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	p, _ := newTestProvider(false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := recorder{sent: cancel}
	_, err := p.Chat(ctx, newRequest("a b c"), &out)
	if e := sdk.AsError(err); e.Code != sdk.CodeCancelled || len(out.texts) != 1 {
		t.Errorf("pieces = %q, err = %v", out.texts, err)
	}
}

func TestListModels(t *testing.T) {
	t.Parallel()
	p := newProvider()
	// The defaults apply to an empty config block.
	if err := plugin.Decode([]byte("{}"), &p.config); err != nil {
		t.Fatal(err)
	}
	models, err := p.ListModels(t.Context())
	if err != nil || len(models) != 1 || models[0].ID != "echo" {
		t.Errorf("models = %v, err = %v", models, err)
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	p, _ := newTestProvider(false)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := p.Chat(ctx, newRequest("/delay 1m a b"), &recorder{})
	if e := sdk.AsError(err); e.Code != sdk.CodeTimeout {
		t.Errorf("err = %v", err)
	}
}
