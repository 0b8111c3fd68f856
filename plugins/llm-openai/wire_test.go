package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/test/openaitest"
)

func ptr[T any](v T) *T { return &v }

// The fake server rejects what OpenAI rejects, so OpenAI accepts this conversation, too. It uses
// every kind of message.
func TestRequestBody(t *testing.T) {
	t.Parallel()
	s, p := start(t, openaitest.Options{}, func(c *config) {
		c.Organization, c.Project, c.Headers = "org-1", "proj-1", map[string]string{"X-Team": "blue"}
	})
	req := &llm.Request{
		Model: "gpt-4o", Stream: true,
		Parameters: llm.Parameters{Temperature: ptr(0.0), MaxTokens: ptr(int64(100)), TopP: ptr(0.5), Stop: []string{"END"}},
		Tools: []sdk.Tool{
			{Name: "files__read", Description: "Reads a <file>", Parameters: `{"type":"object","properties":{"path":{"type":"string"}}}`},
			{Name: "clock"},
		},
		Messages: []sdk.Message{
			sdk.Text(sdk.RoleSystem, "Be brief."),
			{Role: sdk.RoleUser, Parts: []sdk.Part{{Text: "What is this?"}, {Blob: &sdk.Blob{MediaType: "image/png", Data: []byte{1, 2, 3}}}}},
			{Role: sdk.RoleAssistant, ToolCalls: []sdk.ToolCall{{ID: "c1", Name: "clock"}, {ID: "c2", Name: "files__read", Arguments: `{"path":"a"}`}}},
			{Role: sdk.RoleTool, ToolCallID: "c1", Parts: []sdk.Part{{Text: "noon"}}},
			{Role: sdk.RoleTool, ToolCallID: "c2", ToolError: true, Parts: []sdk.Part{{Text: "denied "}, {Blob: &sdk.Blob{MediaType: "image/png", Data: []byte{1}}}}},
			{Role: sdk.RoleAssistant},
			sdk.Text(sdk.RoleUser, "Go on & <on>"),
		},
	}
	if _, err := p.Chat(t.Context(), req, &recorder{}); err != nil {
		t.Fatal(err)
	}
	got := s.Requests()[0]
	want := `{"model":"gpt-4o","messages":[` +
		`{"role":"system","content":"Be brief."},` +
		`{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AQID"}}]},` +
		`{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"clock","arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"files__read","arguments":"{\"path\":\"a\"}"}}]},` +
		`{"role":"tool","content":"noon","tool_call_id":"c1"},` +
		`{"role":"tool","content":"denied [image/png , 1 bytes, not shown]","tool_call_id":"c2"},` +
		`{"role":"assistant","content":""},` +
		`{"role":"user","content":"Go on & <on>"}],` +
		`"tools":[{"type":"function","function":{"name":"files__read","description":"Reads a <file>","parameters":{"type":"object","properties":{"path":{"type":"string"}}}}},` +
		`{"type":"function","function":{"name":"clock","parameters":{"type":"object","properties":{}}}}],` +
		`"temperature":0,"top_p":0.5,"max_tokens":100,"stop":["END"],"stream":true,"stream_options":{"include_usage":true}}`
	if body := strings.TrimSpace(string(got.Body)); body != want {
		t.Errorf("body = %s\nwant   %s", body, want)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer " + key, "Openai-Organization": "org-1", "Openai-Project": "proj-1", "X-Team": "blue",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("%s = %q", name, got.Header.Get(name))
		}
	}
}

// The host replaces files with text and images, in earlier turns, too.
func TestRequestBody_files(t *testing.T) {
	t.Parallel()
	s, p := start(t, openaitest.Options{}, nil)
	image := sdk.Part{Blob: &sdk.Blob{MediaType: "image/webp", Name: "a.webp", Data: []byte{1, 2, 3}}}
	text := sdk.Part{Text: "\n[file a.txt]\nHello\n"}
	req := &llm.Request{Model: "gpt-4o", Messages: []sdk.Message{
		{Role: sdk.RoleUser, Parts: []sdk.Part{{Text: "see"}, text, image}},
		{Role: sdk.RoleAssistant, Parts: []sdk.Part{{Text: "seen"}, {Text: "\n[file b.txt]\n"}}},
		{Role: sdk.RoleUser, Parts: []sdk.Part{{Text: "and"}, text}},
		{Role: sdk.RoleUser, Parts: []sdk.Part{image}},
	}}
	if _, err := p.Chat(t.Context(), req, &recorder{}); err != nil {
		t.Fatal(err)
	}
	const url = `{"type":"image_url","image_url":{"url":"data:image/webp;base64,AQID"}}`
	want := `"messages":[` +
		`{"role":"user","content":[{"type":"text","text":"see"},{"type":"text","text":"\n[file a.txt]\nHello\n"},` + url +
		`]},` +
		`{"role":"assistant","content":"seen\n[file b.txt]\n"},` +
		`{"role":"user","content":"and\n[file a.txt]\nHello\n"},` +
		`{"role":"user","content":[` + url + `]}]`
	if got := string(s.Requests()[0].Body); !strings.Contains(got, want) {
		t.Errorf("body = %s\nwant   %s", got, want)
	}
}

func TestMaxTokens(t *testing.T) {
	t.Parallel()
	tests := []struct {
		base, model string
		completion  bool
	}{
		{"https://api.openai.com/v1", "gpt-4o", true},
		{"https://eu.api.openai.com/v1", "o3-mini", true},
		{"http://localhost:11434/v1", "llama3.2", false},
		{"http://localhost:11434/v1", "olmo", false},
		{"http://localhost:11434/v1", "gpt-oss:20b", false},
		{"https://gateway.example/v1", "openai/o3-mini", true},
		{"https://gateway.example/v1", "gpt-5-mini", true},
	}
	for _, tt := range tests {
		p := configured(t, tt.base, nil)
		body, err := p.encode(&llm.Request{Model: tt.model, Parameters: llm.Parameters{MaxTokens: ptr(int64(5))}})
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if _, completion := got["max_completion_tokens"]; completion != tt.completion ||
			(got["max_tokens"] == nil) != completion {
			t.Errorf("body for %s at %s = %s", tt.model, tt.base, body)
		}
	}
}

func TestChat_invalidRequest(t *testing.T) {
	t.Parallel()
	p := configured(t, "http://127.0.0.1:1/v1", nil)
	for name, req := range map[string]*llm.Request{
		"audio/ogg": {Messages: []sdk.Message{{Role: sdk.RoleUser, Parts: []sdk.Part{{Blob: &sdk.Blob{MediaType: "audio/ogg"}}}}}},
		"oracle":    {Messages: []sdk.Message{{Role: "oracle"}}},
		"broken":    {Tools: []sdk.Tool{{Name: "broken", Parameters: "{"}}},
	} {
		_, err := p.Chat(t.Context(), req, &recorder{})
		if e := sdk.AsError(err); e.Code != sdk.CodeInvalidRequest || !strings.Contains(e.Message, name) {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}

// serve returns a provider whose server sends the same response to every request.
func serve(t *testing.T, status int, contentType, body string) *provider {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return configured(t, s.URL, func(c *config) { c.MaxRetries = 0 })
}

// events returns a stream of server-sent events.
func events(chunks ...string) string {
	var b strings.Builder
	for _, c := range chunks {
		b.WriteString("data: " + c + "\n\n")
	}
	return b.String()
}

// Compatible servers differ from OpenAI in details.
func TestChat_compatibleServers(t *testing.T) {
	t.Parallel()
	const stop = `{"choices":[{"delta":{},"finish_reason":"stop"}]}`
	long := strings.Repeat("long ", 3000)
	tests := []struct {
		name, contentType, body string
		text                    string
		calls                   []sdk.ToolCall
		reason                  llm.FinishReason
	}{
		{
			name: "comments, CRLF, no space, no [DONE]", contentType: "text/event-stream",
			body: ": PROCESSING\r\n\r\nevent: chunk\r\ndata:{\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\r\n\r\ndata:" +
				stop + "\r\n", text: "hi",
		},
		{name: "an event longer than the buffer", contentType: "text/event-stream", body: events(`{"choices":[{"delta":{"content":"`+long+`"}}]}`, stop, "[DONE]"), text: long},
		{name: "complete answer to a stream request", contentType: "application/json", body: `{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}`, text: "hi"},
		{
			name: "parts", contentType: "text/event-stream",
			body: events(`{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"hi"}]}}]}`,
				stop, "[DONE]"), text: "hi",
		},
		{
			name: "split within a character", contentType: "text/event-stream",
			body: events("{\"choices\":[{\"delta\":{\"content\":\"a\xc3\"}}]}",
				"{\"choices\":[{\"delta\":{\"content\":\"\xa4\"}}]}", stop, "[DONE]"), text: "aä",
		},
		{
			name: "split within an escaped character", contentType: "text/event-stream",
			body: events(`{"choices":[{"delta":{"content":"A\ud83d"}}]}`, `{"choices":[{"delta":{"content":"\ude00B\\ud83d"}}]}`,
				stop, "[DONE]"), text: "A😀B\\ud83d",
		},
		{
			name: "ends within an escaped character", contentType: "text/event-stream",
			body: events(`{"choices":[{"delta":{"content":"A\ud83d"}}]}`, stop, "[DONE]"), text: "A",
		},
		{
			name: "no finish reason", contentType: "text/event-stream",
			body: events(`{"choices":[{"delta":{"content":"hi"},"finish_reason":null}]}`,
				`{"choices":[{"delta":{},"finish_reason":""}]}`, "[DONE]"), text: "hi",
		},
		{
			name: "message instead of delta", contentType: "text/event-stream",
			body: events(`{"choices":[{"message":{"content":"Hello world"},"finish_reason":"stop"}]}`), text: "Hello world",
		},
		{
			name: "delta instead of message", contentType: "application/json",
			body: `{"choices":[{"delta":{"content":"Hello world"},"finish_reason":"stop"}]}`, text: "Hello world",
		},
		{
			name: "byte order mark", contentType: "text/event-stream",
			body: "\uFEFF" + events(`{"choices":[{"delta":{"content":"hi"}}]}`, stop, "[DONE]"), text: "hi",
		},
		{
			name: "byte order mark and white space before JSON", contentType: "application/json",
			body: "\uFEFF\n {\"choices\":[{\"message\":{\"content\":\"hi\"}}]}", text: "hi",
		},
		{
			name: "several lines of data", contentType: "text/event-stream",
			body: "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"hi\"}}]}\n\n" + events(stop, "[DONE]"), text: "hi",
		},
		{
			name: "no empty lines", contentType: "text/event-stream",
			body: `data: {"choices":[{"delta":{"content":"h"}}]}` + "\n" + `data: {"choices":[{"delta":{"content":"i"}}]}` +
				"\ndata: " + stop + "\ndata: [DONE]\n", text: "hi",
		},
		{
			name: "a stream as plain text", contentType: "text/plain",
			body: events(`{"choices":[{"delta":{"content":"hi"}}]}`, stop, "[DONE]"), text: "hi",
		},
		{
			name: "a stream as JSON", contentType: "application/json",
			body: "\n: comment\n\n" + events(`{"choices":[{"delta":{"content":"hi"}}]}`, stop, "[DONE]"), text: "hi",
		},
		{
			name: "a stream as binary", contentType: "application/octet-stream",
			body: "event: chunk\n" + events(`{"choices":[{"delta":{"content":"hi"}}]}`, stop, "[DONE]"), text: "hi",
		},
		{
			name: "a complete answer as a stream", contentType: "text/event-stream",
			body: `{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}`, text: "hi",
		},
		{
			name: "arguments as an object", contentType: "text/event-stream", reason: llm.FinishToolCalls,
			body: events(`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":{"text":"one"}}}]}}]}`,
				stop, "[DONE]"),
			calls: []sdk.ToolCall{{ID: "a", Name: "f", Arguments: `{"text":"one"}`}},
		},
		{
			name: "arguments as an object, complete", contentType: "application/json", reason: llm.FinishToolCalls,
			body:  `{"choices":[{"message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":{"text":"one"}}}]}}]}`,
			calls: []sdk.ToolCall{{ID: "a", Name: "f", Arguments: `{"text":"one"}`}},
		},
		{
			name: "three calls with index 0 and no id", contentType: "text/event-stream", reason: llm.FinishToolCalls,
			body: events(
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"{\"text\":\"one\"}"}}]}}]}`,
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"{\"text\":\"two\"}"}}]}}]}`,
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"{\"text\":\"three\"}"}}]}}]}`,
				stop, "[DONE]"),
			calls: []sdk.ToolCall{
				{ID: "call_0", Name: "f", Arguments: `{"text":"one"}`},
				{ID: "call_1", Name: "f", Arguments: `{"text":"two"}`},
				{ID: "call_2", Name: "f", Arguments: `{"text":"three"}`},
			},
		},
		{
			name: "calls with index 0 in pieces", contentType: "text/event-stream", reason: llm.FinishToolCalls,
			body: events(
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}}]}}]}`,
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":1}"}}]}}]}`,
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"g"}}]}}]}`, stop, "[DONE]"),
			calls: []sdk.ToolCall{{ID: "call_0", Name: "f", Arguments: `{"x":1}`}, {ID: "call_1", Name: "g"}},
		},
		{
			name: "another id in each piece", contentType: "text/event-stream", reason: llm.FinishToolCalls,
			body: events(
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}]}}]}`,
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"b","function":{"arguments":":"}}]}}]}`,
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"arguments":"1}"}}]}}]}`, stop, "[DONE]"),
			calls: []sdk.ToolCall{{ID: "a", Name: "f", Arguments: `{"x":1}`}},
		},
		{
			name: "the name in each piece", contentType: "text/event-stream", reason: llm.FinishToolCalls,
			body: events(
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}]}}]}`,
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":":1}"}}]}}]}`, stop, "[DONE]"),
			calls: []sdk.ToolCall{{ID: "a", Name: "f", Arguments: `{"x":1}`}},
		},
		{
			name: "an empty name first", contentType: "text/event-stream", reason: llm.FinishToolCalls,
			body: events(
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"","arguments":"{"}}]}}]}`,
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"}"}}]}}]}`,
				`{"choices":[{"delta":{"tool_calls":[{"index":1}]}}]}`, stop, "[DONE]"),
			calls: []sdk.ToolCall{{ID: "a", Name: "f", Arguments: `{}`}},
		},
		{
			name: "all calls have index 0, and reason stop", contentType: "text/event-stream", reason: llm.FinishToolCalls,
			body: events(
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}}]}`,
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{\"x\":"}}]}}]}`,
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"b","function":{"arguments":"1}"}}]}}]}`, stop, "[DONE]"),
			calls: []sdk.ToolCall{{ID: "a", Name: "f", Arguments: "{}"}, {ID: "b", Name: "g", Arguments: `{"x":1}`}},
		},
		{
			name: "no index, no id", contentType: "text/event-stream", reason: llm.FinishToolCalls,
			body: events(
				`{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"g","arguments":"{}"}}]}}]}`, stop, "[DONE]",
			),
			calls: []sdk.ToolCall{{ID: "call_0", Name: "f", Arguments: "{}"}, {ID: "call_1", Name: "g", Arguments: "{}"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out recorder
			finish, err := serve(t, http.StatusOK, tt.contentType, tt.body).Chat(t.Context(), newRequest(true), &out)
			if err != nil {
				t.Fatal(err)
			}
			if tt.reason == "" {
				tt.reason = llm.FinishStop
			}
			if out.text() != tt.text || fmt.Sprint(out.calls()) != fmt.Sprint(tt.calls) || finish.Reason != tt.reason {
				t.Errorf("text = %.40q, calls = %v, reason = %s", out.text(), out.calls(), finish.Reason)
			}
		})
	}
}

func TestChat_unexpectedResponse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name              string
		status            int
		contentType, body string
		code              sdk.ErrorCode
		message           string
	}{
		{"a web page", 200, "text/html", "<html>", sdk.CodeUnavailable, "base_url"},
		{"a wrong path", 404, "text/plain", "404 page not found", sdk.CodeNotFound, "base_url"},
		{"an error of a proxy", 502, "text/html", "<h1>Bad Gateway</h1>", sdk.CodeUnavailable, "status 502"},
		{"an error without wrapper", 400, "application/json", `{"object":"error","message":"maximum context length is 5","code":400}`, sdk.CodeContextTooLong, "length is 5"},
		{"an error that is a string", 404, "application/json", `{"error":"model 'x' not found"}`, sdk.CodeNotFound, "model 'x'"},
		{"an error in a stream with a number", 200, "text/event-stream", events(`{"error":{"message":"slow down","code":429},"choices":[{"delta":{},"finish_reason":"error"}]}`), sdk.CodeRateLimited, "slow down"},
		{"a huge error", 400, "application/json", `{"error":{"message":"` + strings.Repeat("x", 1<<20), sdk.CodeInvalidRequest, "status 400"},
		{"an endless event", 200, "text/event-stream", "data: " + strings.Repeat("x", maxLine+1<<16), sdk.CodeUnavailable, "4 MiB"},
		{"an empty stream", 200, "text/event-stream", "", sdk.CodeUnavailable, "answer ended early"},
		{"a stream that is cut", 200, "text/event-stream", events(`{"choices":[{"delta":{"content":"hi"}}]}`), sdk.CodeUnavailable, "answer ended early"},
		{"a call without a name", 200, "text/event-stream", events(`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}}]}`, "[DONE]"), sdk.CodeUnavailable, "invalid response"},
		{"a bare error with status 200", 200, "application/json", `{"object":"error","message":"maximum context length is 5"}`, sdk.CodeContextTooLong, "length is 5"},
		{"a bare error as a stream", 200, "text/event-stream", `{"object":"error","message":"maximum context length is 5"}`, sdk.CodeContextTooLong, "length is 5"},
		{"a detail with status 200", 200, "application/json", `{"detail":"the model is loading"}`, sdk.CodeUnavailable, "model is loading"},
		{"a detail with status 400", 400, "application/json", `{"detail":"bad temperature"}`, sdk.CodeInvalidRequest, "bad temperature"},
		{"a list of details", 422, "application/json", `{"detail":[{"loc":["body"],"msg":"field required","type":"missing"}]}`, sdk.CodeInvalidRequest, "field required"},
		{"a list of errors", 400, "application/json", `{"errors":[{"message":"bad top_p"}]}`, sdk.CodeInvalidRequest, "bad top_p"},
		{"a plain text", 400, "text/plain", `no such adapter`, sdk.CodeInvalidRequest, "no such adapter"},
		{"a bare error in a stream", 200, "text/event-stream", events(`{"object":"error","message":"maximum context length is 5"}`), sdk.CodeContextTooLong, "length is 5"},
		{"a detail in a stream", 200, "text/event-stream", events(`{"detail":"out of memory"}`), sdk.CodeUnavailable, "out of memory"},
		{"an event named error", 200, "text/event-stream", "event: error\n" + events(`{"text":"x"}`), sdk.CodeUnavailable, "reported a failure"},
		{"an error that is an object in a stream", 200, "text/event-stream", events(`{"error":{"message":"context length exceeded","type":"invalid_request_error"}}`), sdk.CodeContextTooLong, "context length"},
		{"an empty object", 200, "application/json", "{}", sdk.CodeUnavailable, "invalid response"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := serve(t, tt.status, tt.contentType, tt.body).Chat(t.Context(), newRequest(true), &recorder{})
			e := sdk.AsError(err)
			if strings.Contains(e.Message, "invalid response") && e.Retryable {
				t.Errorf("err = %+v, want it not to be retryable", e)
			}
			if e.Code != tt.code || !strings.Contains(e.Message, tt.message) || len(e.Message) > 700 {
				t.Errorf("err = %+v", e)
			}
		})
	}
}

// A connection is reused, because a dial and a handshake for each answer would be slow.
func TestConnectionReuse(t *testing.T) {
	t.Parallel()
	var dials atomic.Int64
	fake := openaitest.New(openaitest.Options{})
	s := httptest.NewUnstartedServer(fake)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dials.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	p := configured(t, s.URL+"/v1", nil)
	for i := range 6 {
		if _, err := p.Chat(t.Context(), newRequest(i%2 == 0), &recorder{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := dials.Load(); n != 1 {
		t.Errorf("got %d connections for 6 answers, want 1", n)
	}
}

// A server that rejects stream_options streams without them, from then on at once.
func TestChat_withoutStreamOptions(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), "stream_options") {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`))
			return
		}
		_, _ = w.Write([]byte(events(`{"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}`)))
	}))
	t.Cleanup(s.Close)
	for _, option := range []bool{true, false} {
		requests.Store(0)
		p := configured(t, s.URL, func(c *config) { c.MaxRetries, c.StreamOptions = 0, option })
		for range 2 {
			var out recorder
			if _, err := p.Chat(t.Context(), newRequest(true), &out); err != nil || out.text() != "hi" {
				t.Errorf("Chat() = %q, %v, want hi", out.text(), err)
			}
		}
		want := int64(2)
		if option {
			want = 3
		}
		if n := requests.Load(); n != want {
			t.Errorf("stream_options = %v: got %d requests for 2 answers, want %d", option, n, want)
		}
	}
}

func TestChat_gzip(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(events(`{"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}`)))
	_ = z.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(zipped.Bytes())
	}))
	t.Cleanup(s.Close)
	var out recorder
	if _, err := configured(t, s.URL, nil).Chat(t.Context(), newRequest(true), &out); err != nil || out.text() != "hi" {
		t.Errorf("Chat() = %q, %v, want hi", out.text(), err)
	}
}
