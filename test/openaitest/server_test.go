package openaitest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/agentarea/agentarea/test/openaitest"
)

// start starts a server and returns it with OpenAI's official client.
func start(t *testing.T, opts openaitest.Options) (*openaitest.Server, openai.Client, string) {
	t.Helper()
	s := openaitest.New(opts)
	url, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, openai.NewClient(option.WithBaseURL(url), option.WithAPIKey("key"), option.WithMaxRetries(0)), url
}

func params(model string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:    model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hi")},
	}
}

func TestOfficialClientReadsStream(t *testing.T) {
	t.Parallel()
	s, client, _ := start(t, openaitest.Options{})
	s.Enqueue(openaitest.Reply{
		Content: "Let me look. ",
		ToolCalls: []openaitest.ToolCall{
			{ID: "call_a", Name: "weather", Arguments: `{"city":"Oslo"}`}, {ID: "call_b", Name: "time", Arguments: `{}`},
		},
	})
	p := params("gpt-4o")
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := client.Chat.Completions.NewStreaming(t.Context(), p)
	var acc openai.ChatCompletionAccumulator
	for stream.Next() {
		if !acc.AddChunk(stream.Current()) {
			t.Fatalf("the accumulator rejected the chunk %s", stream.Current().RawJSON())
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	message := acc.Choices[0].Message
	if message.Content != "Let me look. " || len(message.ToolCalls) != 2 {
		t.Fatalf("got message %s, want a text and 2 tool calls", message.RawJSON())
	}
	if got := message.ToolCalls[0].Function.Arguments; got != `{"city":"Oslo"}` {
		t.Errorf("got arguments %q, want the city", got)
	}
	if acc.Choices[0].FinishReason != "tool_calls" || acc.Usage.TotalTokens == 0 {
		t.Errorf("got finish reason %q and usage %+v, want tool_calls and some tokens",
			acc.Choices[0].FinishReason, acc.Usage)
	}
}

func TestUsageOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	_, _, url := start(t, openaitest.Options{})
	for body, want := range map[string]bool{
		`{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hi"}]}`:                                         false,
		`{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"}]}`: true,
	} {
		text := post(t, url, body)
		if got := strings.Contains(text, "prompt_tokens"); got != want {
			t.Errorf("got usage %v, want %v, in\n%s", got, want, text)
		}
		if !strings.HasSuffix(text, "data: [DONE]\n\n") {
			t.Errorf("the stream does not end with [DONE]:\n%s", text)
		}
	}
}

func post(t *testing.T, url, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRejectsAsOpenAI(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body, code, message string
	}{
		{"no model", `{"messages":[{"role":"user","content":"a"}]}`, "", "model parameter"},
		{"unknown model", `{"model":"gpt-9","messages":[{"role":"user","content":"a"}]}`, "model_not_found", "gpt-9"},
		{"unknown argument", `{"model":"gpt-4o","max_token":3,"messages":[{"role":"user","content":"a"}]}`, "", "max_token"},
		{"no messages", `{"model":"gpt-4o","messages":[]}`, "empty_array", "empty array"},
		{"max_tokens of a reasoning model", `{"model":"o3-mini","max_tokens":9,"messages":[{"role":"user","content":"a"}]}`, "unsupported_parameter", "max_completion_tokens"},
		{"tool message without its call", `{"model":"gpt-4o","messages":[{"role":"tool","tool_call_id":"x","content":"a"}]}`, "", "must be a response"},
		{
			"call without its tool message",
			`{"model":"gpt-4o","messages":[{"role":"assistant","tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"user","content":"a"}]}`,
			"", "must be followed by tool messages",
		},
		{"too long", `{"model":"gpt-4o","messages":[{"role":"user","content":"` + strings.Repeat("word ", 200) + `"}]}`, "context_length_exceeded", "maximum context length"},
		{"bad JSON", `{`, "", "parse the JSON body"},
	}
	_, _, url := start(t, openaitest.Options{ContextTokens: 100})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var body struct {
				Error struct {
					Message, Type string
					Code          *string
				}
			}
			if err := json.Unmarshal([]byte(post(t, url, tt.body)), &body); err != nil {
				t.Fatal(err)
			}
			if body.Error.Type != "invalid_request_error" || !strings.Contains(body.Error.Message, tt.message) {
				t.Errorf("got error %+v, want %q", body.Error, tt.message)
			}
			if code := body.Error.Code; (code == nil) != (tt.code == "") || code != nil && *code != tt.code {
				t.Errorf("got code %v, want %q", code, tt.code)
			}
		})
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	_, client, _ := start(t, openaitest.Options{Key: "another"})
	_, err := client.Models.List(t.Context())
	var api *openai.Error
	if !errors.As(err, &api) || api.StatusCode != http.StatusUnauthorized || api.Code != "invalid_api_key" {
		t.Fatalf("got error %v, want invalid_api_key", err)
	}
}

// In a benchmark, one connection is used for several answers, streamed and not.
func TestBenchKeepsConnection(t *testing.T) {
	t.Parallel()
	_, client, url := start(t, openaitest.Options{Tokens: 3, Delay: time.Millisecond})
	for range 3 {
		stream := client.Chat.Completions.NewStreaming(t.Context(), params("any"))
		var text strings.Builder
		for stream.Next() {
			if c := stream.Current().Choices; len(c) > 0 {
				text.WriteString(c[0].Delta.Content)
			}
		}
		if err := stream.Err(); err != nil || text.String() != " t0 t1 t2" {
			t.Fatalf("got text %q (%v), want 3 tokens", text.String(), err)
		}
		completion, err := client.Chat.Completions.New(t.Context(), params("any"))
		if err != nil || completion.Choices[0].Message.Content != " t0 t1 t2" {
			t.Fatalf("got %+v (%v), want 3 tokens", completion, err)
		}
	}
	if post(t, url, "{") == "" {
		t.Error("got no reply to invalid JSON")
	}
}

func TestHangEndsWithClient(t *testing.T) {
	t.Parallel()
	s, _, url := start(t, openaitest.Options{})
	s.Enqueue(openaitest.Text("one two three").With(openaitest.Hang, 2))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/chat/completions",
		strings.NewReader(`{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() && !strings.Contains(lines.Text(), "two") {
		continue
	}
	cancel()
	for s.Active() > 0 {
		select {
		case <-t.Context().Done():
			t.Fatal("the server did not detect that the client disconnected")
		case <-time.After(time.Millisecond):
		}
	}
}
