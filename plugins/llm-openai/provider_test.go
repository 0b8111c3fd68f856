package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/test/memnet"
	"github.com/agentarea/agentarea/test/openaitest"
)

const key = "sk-test-0123456789"

// start returns a fake server that requires the key, and a provider that is configured for
// it.
func start(t *testing.T, opts openaitest.Options, change func(*config)) (*openaitest.Server, *provider) {
	t.Helper()
	opts.Key = key
	s := openaitest.New(opts)
	url, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, configured(t, url, change)
}

// configured returns a provider for a server.
func configured(t testing.TB, url string, change func(*config)) *provider {
	t.Helper()
	p := newProvider()
	p.config = config{BaseURL: url, APIKey: key, Timeout: 10 * time.Second, AnswerTimeout: 10 * time.Second, StreamOptions: true, MaxRetries: 2}
	if change != nil {
		change(&p.config)
	}
	if err := p.Configure(context.Background(), sdk.Env{Label: "openai"}); err != nil {
		t.Fatal(err)
	}
	return p
}

// recorder records the deltas of an answer.
type recorder struct {
	mu     sync.Mutex
	deltas []llm.Delta
	// sent, if set, is called after each delta.
	sent func()
}

func (s *recorder) Send(d llm.Delta) error {
	s.mu.Lock()
	s.deltas = append(s.deltas, d)
	s.mu.Unlock()
	if s.sent != nil {
		s.sent()
	}
	return nil
}

func (s *recorder) text() string {
	var b strings.Builder
	for _, d := range s.deltas {
		b.WriteString(d.Text)
	}
	return b.String()
}

func (s *recorder) calls() []sdk.ToolCall {
	var calls []sdk.ToolCall
	for _, d := range s.deltas {
		if d.ToolCall == nil {
			continue
		}
		if d.ToolCall.Index == len(calls) {
			calls = append(calls, sdk.ToolCall{ID: d.ToolCall.ID, Name: d.ToolCall.Name})
		}
		calls[d.ToolCall.Index].Arguments += d.ToolCall.Arguments
	}
	return calls
}

// newRequest returns a request with one message.
func newRequest(stream bool) *llm.Request {
	return &llm.Request{Model: "gpt-4o", Messages: []sdk.Message{sdk.Text(sdk.RoleUser, "Hi")}, Stream: stream}
}

// forBothModes runs a test with a streamed and with a complete answer.
func forBothModes(t *testing.T, f func(t *testing.T, stream bool)) {
	t.Helper()
	for name, stream := range map[string]bool{"stream": true, "complete": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, stream)
		})
	}
}

func TestChatText(t *testing.T) {
	t.Parallel()
	forBothModes(t, func(t *testing.T, stream bool) {
		s, p := start(t, openaitest.Options{}, nil)
		s.Enqueue(openaitest.Reply{
			Reasoning: "Let me think.", Content: "Grüße aus <Oslo> & \"Bergen\"\n",
			Usage: &openaitest.Usage{
				PromptTokens: 9, CompletionTokens: 7, TotalTokens: 16,
				PromptTokensDetails:     openaitest.PromptTokensDetails{CachedTokens: 4},
				CompletionTokensDetails: openaitest.CompletionTokensDetails{ReasoningTokens: 3},
			},
		})
		var out recorder
		finish, err := p.Chat(t.Context(), newRequest(stream), &out)
		if err != nil {
			t.Fatal(err)
		}
		want := llm.Finish{
			Reason: llm.FinishStop, Model: "gpt-4o",
			Usage: sdk.Usage{InputTokens: 9, OutputTokens: 7, CachedInputTokens: 4, ReasoningTokens: 3},
		}
		if *finish != want {
			t.Errorf("finish = %+v, want %+v", *finish, want)
		}
		if out.text() != "Grüße aus <Oslo> & \"Bergen\"\n" {
			t.Errorf("text = %q", out.text())
		}
		var reasoning strings.Builder
		for _, d := range out.deltas {
			reasoning.WriteString(d.Reasoning)
		}
		if reasoning.String() != "Let me think." {
			t.Errorf("reasoning = %q", reasoning.String())
		}
		if got := s.Requests(); len(got) != 1 || got[0].Stream != stream {
			t.Errorf("got %d requests, stream = %v, want 1, %v", len(got), got[0].Stream, stream)
		}
	})
}

func TestChatToolCalls(t *testing.T) {
	t.Parallel()
	forBothModes(t, func(t *testing.T, stream bool) {
		s, p := start(t, openaitest.Options{}, nil)
		s.Enqueue(openaitest.Tools(
			openaitest.ToolCall{ID: "call_a", Name: "weather", Arguments: `{"city":"Tromsø","days":3}`},
			openaitest.ToolCall{ID: "call_b", Name: "clock", Arguments: `{}`},
		))
		var out recorder
		finish, err := p.Chat(t.Context(), newRequest(stream), &out)
		if err != nil {
			t.Fatal(err)
		}
		if finish.Reason != llm.FinishToolCalls {
			t.Errorf("reason = %s", finish.Reason)
		}
		calls := out.calls()
		want := []sdk.ToolCall{
			{ID: "call_a", Name: "weather", Arguments: `{"city":"Tromsø","days":3}`},
			{ID: "call_b", Name: "clock", Arguments: `{}`},
		}
		if len(calls) != 2 || calls[0] != want[0] || calls[1] != want[1] {
			t.Errorf("calls = %+v", calls)
		}
		if stream && len(out.deltas) < 6 {
			t.Errorf("got %d deltas, want at least 6", len(out.deltas))
		}
	})
}

func TestFinishReasons(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]llm.FinishReason{
		"stop": llm.FinishStop, "length": llm.FinishLength, "content_filter": llm.FinishContentFilter,
		"function_call": llm.FinishToolCalls, "eos": llm.FinishStop,
	} {
		s, p := start(t, openaitest.Options{}, nil)
		s.Enqueue(openaitest.Reply{Content: "a", FinishReason: reason})
		finish, err := p.Chat(t.Context(), newRequest(true), &recorder{})
		if err != nil || finish.Reason != want {
			t.Errorf("%s: finish = %+v, err = %v", reason, finish, err)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	soon := http.Header{"Retry-After": {"0.01"}}
	serverError := openaitest.ServerError()
	serverError.Header = soon
	tests := []struct {
		name     string
		replies  []openaitest.Reply
		change   func(*config)
		want     sdk.Error
		message  string
		attempts int
	}{
		{
			name: "wrong key", change: func(c *config) { c.APIKey = "sk-wrong-9876543210" },
			want: sdk.Error{Code: sdk.CodeUnauthorized, ProviderStatus: 401}, message: "check api_key in plugins.hcl",
		},
		{
			name: "no key", change: func(c *config) { c.APIKey = "" },
			want: sdk.Error{Code: sdk.CodeUnauthorized, ProviderStatus: 401}, message: "set api_key in plugins.hcl",
		},
		{
			name: "forbidden",
			replies: []openaitest.Reply{
				openaitest.Fail(403, openaitest.Error{Message: "Country not supported: " + key, Type: "request_forbidden"}),
			},
			want: sdk.Error{Code: sdk.CodeUnauthorized, ProviderStatus: 403}, message: "Country not supported: ***", attempts: 1,
		},
		{
			name: "no such model",
			replies: []openaitest.Reply{
				openaitest.Fail(404, openaitest.Error{Message: "The model `x` does not exist", Code: "model_not_found"}),
			},
			want: sdk.Error{Code: sdk.CodeNotFound, ProviderStatus: 404}, message: "does not exist", attempts: 1,
		},
		{
			name: "no such path",
			replies: []openaitest.Reply{
				openaitest.Fail(404,
					openaitest.Error{Message: "Invalid URL (POST /v1/v1/chat/completions)", Type: "invalid_request_error"}),
			},
			want: sdk.Error{Code: sdk.CodeNotFound, ProviderStatus: 404}, message: "check base_url in plugins.hcl", attempts: 1,
		},
		{
			name: "bad request",
			replies: []openaitest.Reply{
				openaitest.Fail(400, openaitest.Error{Message: "Unsupported value: 'temperature'", Type: "invalid_request_error"}),
			},
			want: sdk.Error{Code: sdk.CodeInvalidRequest, ProviderStatus: 400}, message: "'temperature'", attempts: 1,
		},
		{
			name: "too long, by code",
			replies: []openaitest.Reply{
				openaitest.Fail(400, openaitest.Error{Message: "Reduce it", Code: "context_length_exceeded"}),
			},
			want: sdk.Error{Code: sdk.CodeContextTooLong, ProviderStatus: 400}, message: "too long", attempts: 1,
		},
		{
			name: "too long, by message",
			replies: []openaitest.Reply{
				openaitest.Fail(400,
					openaitest.Error{Message: "This model's maximum context length is 10 tokens", Type: "BadRequestError"}),
			},
			want: sdk.Error{Code: sdk.CodeContextTooLong, ProviderStatus: 400}, message: "too long", attempts: 1,
		},
		{
			name:    "content filter",
			replies: []openaitest.Reply{openaitest.Fail(400, openaitest.Error{Message: "Policy", Code: "content_filter"})},
			want:    sdk.Error{Code: sdk.CodeContentFilter, ProviderStatus: 400}, message: "Policy", attempts: 1,
		},
		{
			name: "exceeded quota is not retried", replies: []openaitest.Reply{openaitest.NoQuota()},
			want: sdk.Error{Code: sdk.CodeRateLimited, ProviderStatus: 429}, message: "no credit", attempts: 1,
		},
		{
			name: "rate limited for too long", replies: []openaitest.Reply{openaitest.RateLimited(90 * time.Second)},
			want:    sdk.Error{Code: sdk.CodeRateLimited, ProviderStatus: 429, Retryable: true, RetryAfter: 90 * time.Second},
			message: "Rate limit", attempts: 1,
		},
		{
			name: "rate limited three times",
			replies: []openaitest.Reply{
				openaitest.RateLimited(10 * time.Millisecond),
				openaitest.RateLimited(10 * time.Millisecond), openaitest.RateLimited(10 * time.Millisecond),
			},
			want: sdk.Error{
				Code: sdk.CodeRateLimited, ProviderStatus: 429, Retryable: true, RetryAfter: 10 * time.Millisecond,
			},
			attempts: 3,
		},
		{
			name: "500 three times", replies: []openaitest.Reply{serverError, serverError, serverError},
			want: sdk.Error{
				Code: sdk.CodeUnavailable, ProviderStatus: 500, Retryable: true, RetryAfter: 10 * time.Millisecond,
			},
			message: "the provider returned status 500", attempts: 3,
		},
		{
			name: "max_retries 0", replies: []openaitest.Reply{openaitest.ServerError()},
			change: func(c *config) { c.MaxRetries = 0 },
			want:   sdk.Error{Code: sdk.CodeUnavailable, ProviderStatus: 500, Retryable: true}, attempts: 1,
		},
		{
			name: "malformed", replies: []openaitest.Reply{{Content: "a b", Fault: openaitest.Malformed}},
			want: sdk.Error{Code: sdk.CodeUnavailable}, message: "invalid response", attempts: 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			forBothModes(t, func(t *testing.T, stream bool) {
				s, p := start(t, openaitest.Options{}, tt.change)
				s.Enqueue(tt.replies...)
				var out recorder
				_, err := p.Chat(t.Context(), newRequest(stream), &out)
				var got *sdk.Error
				if !errors.As(err, &got) {
					t.Fatalf("err = %#v, want an *sdk.Error", err)
				}
				if !strings.Contains(got.Message, tt.message) {
					t.Errorf("message = %q, want it to contain %q", got.Message, tt.message)
				}
				for _, secret := range []string{key, "sk-wrong", "3210"} {
					if strings.Contains(got.Message, secret) {
						t.Errorf("message = %q contains the key", got.Message)
					}
				}
				seen := *got
				seen.Message = ""
				if seen != tt.want {
					t.Errorf("err = %+v, want %+v", seen, tt.want)
				}
				if n := len(s.Requests()); n != tt.attempts {
					t.Errorf("got %d attempts, want %d", n, tt.attempts)
				}
			})
		})
	}
}

func TestRetriesUntilSuccess(t *testing.T) {
	t.Parallel()
	forBothModes(t, func(t *testing.T, stream bool) {
		s, p := start(t, openaitest.Options{}, nil)
		wait := 80 * time.Millisecond
		s.Enqueue(openaitest.RateLimited(wait), openaitest.Reply{Fault: openaitest.Cut}, openaitest.Text("at last"))
		startTime := time.Now()
		var out recorder
		if _, err := p.Chat(t.Context(), newRequest(stream), &out); err != nil {
			t.Fatal(err)
		}
		if out.text() != "at last" || len(s.Requests()) != 3 {
			t.Errorf("text = %q after %d attempts", out.text(), len(s.Requests()))
		}
		if took := time.Since(startTime); took < wait {
			t.Errorf("retried after %s, before Retry-After had passed", took)
		}
	})
}

// There is no retry after the first delta, because the client would receive it twice.
func TestBrokenStream(t *testing.T) {
	t.Parallel()
	limited := openaitest.Error{Message: "Rate limit reached", Type: "requests", Code: "rate_limit_exceeded"}
	tests := []struct {
		name    string
		reply   openaitest.Reply
		code    sdk.ErrorCode
		message string
	}{
		{"connection lost", openaitest.Text("one two three").With(openaitest.Cut, 2), sdk.CodeUnavailable, "the provider's answer ended early"},
		{"ended early", openaitest.Text("one two three").With(openaitest.End, 2), sdk.CodeUnavailable, "the provider's answer ended early"},
		{"malformed", openaitest.Text("one two three").With(openaitest.Malformed, 2), sdk.CodeUnavailable, "invalid response"},
		{"error event", openaitest.Reply{Content: "one two three", Error: &limited, Fault: openaitest.ErrorEvent, FaultAfter: 2}, sdk.CodeRateLimited, "Rate limit reached"},
		{"server error event", openaitest.Reply{Content: "one two three", Fault: openaitest.ErrorEvent, FaultAfter: 2}, sdk.CodeUnavailable, "server had an error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, p := start(t, openaitest.Options{}, nil)
			s.Enqueue(tt.reply)
			var out recorder
			_, err := p.Chat(t.Context(), newRequest(true), &out)
			got := sdk.AsError(err)
			if got.Code != tt.code || got.Retryable != (tt.name != "malformed") || !strings.Contains(got.Message, tt.message) {
				t.Errorf("err = %+v", got)
			}
			if out.text() != "one two" || len(s.Requests()) != 1 {
				t.Errorf("text = %q after %d attempts", out.text(), len(s.Requests()))
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	s := openaitest.New(openaitest.Options{})
	url, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	p := configured(t, url, func(c *config) { c.MaxRetries = 0 })
	_, err = p.Chat(t.Context(), newRequest(true), &recorder{})
	got := sdk.AsError(err)
	const want = "the provider is not reachable; an administrator must start it, or correct base_url in plugins.hcl"
	if got.Code != sdk.CodeUnavailable || !got.Retryable || got.Message != want {
		t.Errorf("Chat() = %+v, want a retryable error with %q", got, want)
	}
	if _, err := p.ListModels(t.Context()); sdk.AsError(err).Code != sdk.CodeUnavailable {
		t.Errorf("ListModels() = %v, want code unavailable", err)
	}
}

func TestCancel_endsRequest(t *testing.T) {
	t.Parallel()
	s, p := start(t, openaitest.Options{}, nil)
	s.Enqueue(openaitest.Text("one two three").With(openaitest.Hang, 1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := p.Chat(ctx, newRequest(true), &recorder{sent: cancel})
	if got := sdk.AsError(err); got.Code != sdk.CodeCancelled {
		t.Errorf("err = %+v", got)
	}
	for s.Active() > 0 {
		select {
		case <-t.Context().Done():
			t.Fatal("the server still has an active request")
		case <-time.After(time.Millisecond):
		}
	}
}

// withFakeClock runs a test with a fake server in memory, whose clock advances only while all goroutines
// wait, and a provider with the default timeouts.
func withFakeClock(t *testing.T, test func(t *testing.T, s *openaitest.Server, p *provider)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, l := openaitest.New(openaitest.Options{}), memnet.Listen()
		server := &http.Server{Handler: s}
		go func() { _ = server.Serve(l) }()
		p := configured(t, "http://server.example/v1",
			func(c *config) { c.Timeout, c.AnswerTimeout = time.Minute, 5*time.Minute })
		p.server.Client().Transport = l.Client().Transport
		test(t, s, p)
		p.server.Client().CloseIdleConnections()
		_ = s.Close()
		_ = server.Close()
	})
}

// A call ends with its timeout, which is shorter for a streamed answer. It is not retried.
func TestTimeout(t *testing.T) {
	t.Parallel()
	hang := openaitest.Reply{Fault: openaitest.Hang}
	for _, tt := range []struct {
		name   string
		stream bool
		reply  openaitest.Reply
		want   time.Duration
	}{
		{"stream that does not start", true, hang, time.Minute},
		{"no answer", false, hang, 5 * time.Minute},
		{"answer that comes too late", false, openaitest.Reply{Content: "one", Delay: time.Hour}, 5 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			withFakeClock(t, func(t *testing.T, s *openaitest.Server, p *provider) {
				s.Enqueue(tt.reply)
				began := time.Now()
				_, err := p.Chat(t.Context(), newRequest(tt.stream), &recorder{})
				if took := time.Since(began); took != tt.want {
					t.Errorf("Chat() took %s, want %s", took, tt.want)
				}
				got, text := sdk.AsError(err), "did not respond within "+tt.want.String()
				if got.Code != sdk.CodeTimeout || !got.Retryable || !strings.Contains(got.Message, text) {
					t.Errorf("Chat() = %v, want a retryable error with code %s and %q", err, sdk.CodeTimeout, text)
				}
				if n := len(s.Requests()); n != 1 {
					t.Errorf("got %d attempts, want 1", n)
				}
			})
		})
	}
}

// The timeout only covers the first byte. A model may think for long, and the run has its own
// timeout.
func TestTimeout_firstByteOnly(t *testing.T) {
	t.Parallel()
	withFakeClock(t, func(t *testing.T, s *openaitest.Server, p *provider) {
		s.Enqueue(openaitest.Reply{Content: "one two three", Delay: time.Hour})
		var out recorder
		if _, err := p.Chat(t.Context(), newRequest(true), &out); err != nil || out.text() != "one two three" {
			t.Errorf("text = %q, err = %v", out.text(), err)
		}
	})
}
