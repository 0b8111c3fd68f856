package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/llm/remote/remotetest"
	"github.com/agentarea/agentarea/sdk/plugintest"
	"github.com/agentarea/agentarea/test/testenv"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	binary := testenv.Binary(t, "llm-ollama")
	plugintest.LLM(t, plugintest.Command{
		Path: binary, Config: map[string]any{"base_url": newFakeServer(t).URL},
		Script: plugintest.Script{
			Model: "llama3.2", ToolPrompt: "tool", ParallelToolPrompt: "tool", LimitedPrompt: "limited", SlowPrompt: "slow",
		},
	})
}

// configured returns a provider and its fake server.
func configured(t *testing.T, change func(*config)) (*provider, *remotetest.Server) {
	t.Helper()
	s := newFakeServer(t)
	p := newProvider()
	p.config = config{BaseURL: s.URL, Timeout: 10 * time.Second}
	if change != nil {
		change(&p.config)
	}
	if err := p.Configure(t.Context(), sdk.Env{}); err != nil {
		t.Fatal(err)
	}
	return p, s
}

// mustChat returns the answer to a request that must succeed.
func mustChat(t *testing.T, p *provider, req *llm.Request) (*remotetest.Answer, *llm.Finish) {
	t.Helper()
	a := &remotetest.Answer{}
	finish, err := p.Chat(t.Context(), req, a)
	if err != nil {
		t.Fatal(err)
	}
	return a, finish
}

func TestCancel(t *testing.T) {
	t.Parallel()
	p, _ := configured(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := p.Chat(ctx, remotetest.Ask("llama3.2", "slow"), &remotetest.Answer{Sent: cancel})
	if err == nil || sdk.AsError(err).Code != sdk.CodeCancelled {
		t.Errorf("got %v", err)
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	p, s := configured(t, func(c *config) { c.KeepAlive, c.NumCtx = "-1", 8192 })
	req := remotetest.Ask("llama3.2", "hello")
	half, maxTokens := 0.5, int64(77)
	req.Temperature, req.TopP, req.MaxTokens, req.Stop = &half, &half, &maxTokens, []string{"END"}
	req.Messages = append([]sdk.Message{sdk.Text(sdk.RoleSystem, "Be short.")}, req.Messages...)
	a, finish := mustChat(t, p, req)
	want := llm.Finish{Reason: llm.FinishStop, Model: "llama3.2", Usage: sdk.Usage{InputTokens: 26, OutputTokens: 7}}
	if a.Text != "Hello there." || a.Pieces != 2 || *finish != want {
		t.Errorf("Chat() = %q in %d pieces, %+v, want %+v", a.Text, a.Pieces, finish, want)
	}
	for path, value := range map[string]string{
		"options.num_predict": "77", "options.temperature": "0.5",
		"options.top_p": "0.5", "options.stop.0": "END", "options.num_ctx": "8192",
		"messages.0.content": "Be short.", "messages.0.role": "system", "keep_alive": "-1", "stream": "true",
	} {
		if got := gjson.Get(s.Last(), path).String(); got != value {
			t.Errorf("%s in the request = %s, want %s", path, got, value)
		}
	}
}

func TestTools(t *testing.T) {
	t.Parallel()
	p, s := configured(t, nil)
	req := remotetest.Ask("llama3.2", "tool", remotetest.AddTool)
	a, finish := mustChat(t, p, req)
	if finish.Reason != llm.FinishToolCalls || len(a.Calls) != 2 || a.Calls[0].Arguments != `{"b":3,"a":2}` ||
		a.Calls[1].Name != "plugintest_add" || a.Calls[0].ID == "" || a.Calls[0].ID == a.Calls[1].ID {
		t.Fatalf("Chat() = %+v, %+v", a, finish)
	}
	if schema := gjson.Get(s.Last(), "tools.0.function.parameters"); schema.Get("required.#").Int() != 2 ||
		schema.Get("additionalProperties").String() != "false" {
		t.Errorf("the tool's schema = %s", schema)
	}
	a, finish = mustChat(t, p, remotetest.WithResults(req, a, "5"))
	if a.Text != "It is 5." || finish.Reason != llm.FinishStop {
		t.Errorf("Chat() = %+v, %+v", a, finish)
	}
	if call := gjson.Get(s.Last(), "messages.1.tool_calls.0.function"); call.Get("arguments.a").Int() != 2 {
		t.Errorf("the tool call in the next request = %s", call)
	}
}

func TestFinishReasonsAndReasoning(t *testing.T) {
	t.Parallel()
	p, _ := configured(t, nil)
	for word, reason := range map[string]llm.FinishReason{"stop": llm.FinishStop, "length": llm.FinishLength} {
		if _, finish := mustChat(t, p, remotetest.Ask("llama3.2", "stop "+word)); finish.Reason != reason {
			t.Errorf("finish reason for %s = %s, want %s", word, finish.Reason, reason)
		}
	}
	if a, _ := mustChat(t, p, remotetest.Ask("llama3.2", "think")); a.Reasoning != "Hm." || a.Text != "Yes." {
		t.Errorf("Chat() = %+v", a)
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	p, s := configured(t, nil)
	req := remotetest.Ask("llama3.2", "What is this?")
	req.Messages[0].Parts = append(req.Messages[0].Parts,
		sdk.Part{Blob: &sdk.Blob{MediaType: "image/png", Data: []byte("png")}})
	mustChat(t, p, req)
	if got := gjson.Get(s.Last(), "messages.0.images.0").String(); got != "cG5n" {
		t.Errorf("image = %s, want cG5n", got)
	}
	req.Messages[0].Parts[1].Blob.MediaType = "application/pdf"
	if _, err := p.Chat(t.Context(), req, &remotetest.Answer{}); err == nil ||
		sdk.AsError(err).Code != sdk.CodeInvalidRequest {
		t.Errorf("Chat() with a PDF file = %v, want code invalid_request", err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	p, _ := configured(t, func(c *config) { c.Timeout = 500 * time.Millisecond })
	for text, want := range map[string]sdk.Error{
		"limited":         {Code: sdk.CodeRateLimited, Retryable: true, RetryAfter: 7 * time.Second, ProviderStatus: 429},
		"overloaded":      {Code: sdk.CodeUnavailable, Retryable: true, ProviderStatus: 503},
		"no tools":        {Code: sdk.CodeInvalidRequest, ProviderStatus: 400},
		"silent":          {Code: sdk.CodeTimeout, Retryable: true},
		"fails midway":    {Code: sdk.CodeUnavailable, Retryable: true},
		"invalid line":    {Code: sdk.CodeUnavailable},
		"connection lost": {Code: sdk.CodeUnavailable, Retryable: true},
		"ends early":      {Code: sdk.CodeUnavailable, Retryable: true},
	} {
		_, err := p.Chat(t.Context(), remotetest.Ask("llama3.2", text), &remotetest.Answer{})
		var got *sdk.Error
		if !errors.As(err, &got) {
			t.Errorf("Chat(%q) = %v, want an *sdk.Error", text, err)
			continue
		}
		withoutMessage := *got
		withoutMessage.Message = ""
		if withoutMessage != want || got.Message == "" {
			t.Errorf("%s: got %+v, want %+v", text, *got, want)
		}
	}
	_, err := p.Chat(t.Context(), remotetest.Ask("qwen3", "hello"), &remotetest.Answer{})
	if err == nil || sdk.AsError(err).Code != sdk.CodeNotFound || !strings.Contains(err.Error(), "ollama pull qwen3") {
		t.Errorf("Chat() with an unknown model = %v", err)
	}
}

func TestListModels(t *testing.T) {
	t.Parallel()
	p, _ := configured(t, nil)
	models, err := p.ListModels(t.Context())
	if err != nil || len(models) != 2 || models[0].ID != "llama3.2:latest" || models[0].ContextWindow != 131072 ||
		strings.Join(models[0].Capabilities, " ") != "tools images" || models[1].ID != "gone:latest" {
		t.Errorf("ListModels() = %+v, %v", models, err)
	}
	p, _ = configured(t, func(c *config) { c.BaseURL = "http://127.0.0.1:1" })
	if _, err = p.ListModels(t.Context()); err == nil || !strings.Contains(err.Error(), "is not reachable") {
		t.Errorf("ListModels() of an unreachable server = %v", err)
	}
}

func TestConfigure_invalid(t *testing.T) {
	t.Parallel()
	for path, change := range map[string]func(*config){
		"base_url": func(c *config) { c.BaseURL = "localhost:11434" },
		"api_key":  func(c *config) { c.APIKey, c.BaseURL = "", "https://ollama.com" },
		"timeout":  func(c *config) { c.Timeout = 0 },
		"num_ctx":  func(c *config) { c.NumCtx = -1 },
	} {
		p := newProvider()
		p.config = config{BaseURL: "http://127.0.0.1", Timeout: time.Second}
		change(&p.config)
		var configErr *sdk.ConfigError
		if err := p.Configure(t.Context(), sdk.Env{}); !errors.As(err, &configErr) || configErr.Path[0] != path {
			t.Errorf("Configure() = %v, want an error at %s", err, path)
		}
	}
}
