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
	binary := testenv.Binary(t, "llm-anthropic")
	plugintest.LLM(t, plugintest.Command{
		Path: binary, Config: map[string]any{"base_url": newFakeServer(t).URL, "api_key": remotetest.Key},
		Script: plugintest.Script{
			Model: "claude-a", ToolPrompt: "tool", ParallelToolPrompt: "tool", LimitedPrompt: "limited", SlowPrompt: "slow",
		},
	})
}

// configured returns a provider and its fake server.
func configured(t *testing.T, change func(*config)) (*provider, *remotetest.Server) {
	t.Helper()
	s := newFakeServer(t)
	p := newProvider()
	p.config = config{BaseURL: s.URL, APIKey: remotetest.Key + "\n", Timeout: 10 * time.Second, MaxTokens: 4096}
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

func TestAnswer(t *testing.T) {
	t.Parallel()
	p, s := configured(t, nil)
	req := remotetest.Ask("claude-a", "hello")
	half, maxTokens := 0.5, int64(77)
	req.Temperature, req.TopP, req.MaxTokens, req.Stop = &half, &half, &maxTokens, []string{"END"}
	req.Messages = append([]sdk.Message{sdk.Text(sdk.RoleSystem, "Be short.")}, req.Messages...)
	a, finish := mustChat(t, p, req)
	want := llm.Finish{
		Reason: llm.FinishStop, Model: "claude-a-2026",
		Usage: sdk.Usage{InputTokens: 115, OutputTokens: 15, CachedInputTokens: 100},
	}
	if a.Text != "Hello there." || a.Pieces != 2 || *finish != want {
		t.Errorf("Chat() = %q in %d pieces, %+v, want %+v", a.Text, a.Pieces, finish, want)
	}
	for path, value := range map[string]string{
		"model": "claude-a", "max_tokens": "77", "temperature": "0.5", "top_p": "0.5", "stop_sequences.0": "END",
		"system.0.text": "Be short.", "stream": "true", "messages.#": "1",
	} {
		if got := gjson.Get(s.Last(), path).String(); got != value {
			t.Errorf("%s in the request = %s, want %s", path, got, value)
		}
	}
}

func TestTools(t *testing.T) {
	t.Parallel()
	p, s := configured(t, nil)
	req := remotetest.Ask("claude-a", "tool", remotetest.AddTool)
	a, finish := mustChat(t, p, req)
	if finish.Reason != llm.FinishToolCalls || a.Text != "Let me see." || len(a.Calls) != 2 ||
		a.Calls[0] != (sdk.ToolCall{ID: "toolu_1", Name: "plugintest_add", Arguments: `{"a": 2, "b": 3}`}) ||
		a.Calls[1] != (sdk.ToolCall{ID: "toolu_2", Name: "plugintest_add", Arguments: `{"a": 4, "b": 5}`}) {
		t.Fatalf("Chat() = %+v, %+v", a, finish)
	}
	if schema := gjson.Get(s.Last(), "tools.0.input_schema"); schema.Get("additionalProperties").String() != "false" ||
		schema.Get("required.#").Int() != 2 {
		t.Errorf("the tool's schema = %s", schema)
	}
	a, finish = mustChat(t, p, remotetest.WithResults(req, a, "5"))
	if a.Text != "It is 5." || finish.Reason != llm.FinishStop {
		t.Errorf("Chat() = %+v, %+v", a, finish)
	}
	results := gjson.Get(s.Last(), "messages.2.content")
	if results.Get("#").Int() != 2 || results.Get("1.tool_use_id").String() != "toolu_2" ||
		results.Get("1.content.0.text").String() != "5" {
		t.Errorf("the tool results = %s", results)
	}
}

// Compatible servers send the input of a call at once.
func TestTools_initialInput(t *testing.T) {
	t.Parallel()
	p, _ := configured(t, nil)
	a, _ := mustChat(t, p, remotetest.Ask("claude-a", "whole", remotetest.AddTool))
	if want := (sdk.ToolCall{ID: "t1", Name: "calc__echo", Arguments: `{"text":"whole"}`}); len(a.Calls) != 1 || a.Calls[0] != want {
		t.Errorf("Chat() = %+v, want the call %+v", a.Calls, want)
	}
}

// A session may have called tools that the agent no longer has, with a model of another provider.
func TestToolCallsOfEarlierTurns(t *testing.T) {
	t.Parallel()
	p, s := configured(t, nil)
	req := remotetest.Ask("claude-a", "first")
	req.Messages = append(req.Messages,
		sdk.Message{Role: sdk.RoleAssistant, ToolCalls: []sdk.ToolCall{{ID: "functions.fs__read:0", Name: "fs__read", Arguments: "{}"}}},
		sdk.Message{Role: sdk.RoleTool, ToolCallID: "functions.fs__read:0", Parts: []sdk.Part{{Text: "data"}}},
		sdk.Text(sdk.RoleUser, "hello"))
	mustChat(t, p, req)
	for path, want := range map[string]string{
		"messages.1.content.0.id": "functions_fs__read_0", "messages.2.content.0.tool_use_id": "functions_fs__read_0",
		"tools.#": "1", "tools.0.name": "fs__read",
	} {
		if got := gjson.Get(s.Last(), path).String(); got != want {
			t.Errorf("%s in the request = %s, want %s", path, got, want)
		}
	}
}

func TestFinishReasonsAndReasoning(t *testing.T) {
	t.Parallel()
	p, _ := configured(t, nil)
	for word, reason := range map[string]llm.FinishReason{
		"end_turn": llm.FinishStop, "stop_sequence": llm.FinishStop,
		"max_tokens": llm.FinishLength, "refusal": llm.FinishContentFilter,
	} {
		if _, finish := mustChat(t, p, remotetest.Ask("claude-a", "stop "+word)); finish.Reason != reason {
			t.Errorf("finish reason for %s = %s, want %s", word, finish.Reason, reason)
		}
	}
	if a, _ := mustChat(t, p, remotetest.Ask("claude-a", "think")); a.Reasoning != "Hm." || a.Text != "Yes." {
		t.Errorf("Chat() = %+v", a)
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	p, s := configured(t, nil)
	req := remotetest.Ask("claude-a", "What is this?")
	req.Messages[0].Parts = append(req.Messages[0].Parts,
		sdk.Part{Blob: &sdk.Blob{MediaType: "image/png", Data: []byte("png")}},
		sdk.Part{Blob: &sdk.Blob{MediaType: "application/pdf", Data: []byte("pdf")}}, sdk.Part{Text: "?"})
	mustChat(t, p, req)
	if c := gjson.Get(s.Last(), "messages.0.content"); c.Get("1.source.media_type").String() != "image/png" ||
		c.Get("1.source.data").String() != "cG5n" || c.Get("2.type").String() != "document" {
		t.Errorf("content = %s", c)
	}
	req.Messages[0].Parts[1].Blob.MediaType = "image/tiff"
	if _, err := p.Chat(t.Context(), req, &remotetest.Answer{}); err == nil ||
		sdk.AsError(err).Code != sdk.CodeInvalidRequest {
		t.Errorf("Chat() with a TIFF image = %v, want code invalid_request", err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	p, _ := configured(t, func(c *config) { c.Timeout = 500 * time.Millisecond })
	for text, want := range map[string]sdk.Error{
		"limited":         {Code: sdk.CodeRateLimited, Retryable: true, RetryAfter: 7 * time.Second, ProviderStatus: 429},
		"overloaded":      {Code: sdk.CodeUnavailable, Retryable: true, ProviderStatus: 529},
		"no credit":       {Code: sdk.CodeUnauthorized, ProviderStatus: 402},
		"long":            {Code: sdk.CodeContextTooLong, ProviderStatus: 400},
		"no model":        {Code: sdk.CodeNotFound, ProviderStatus: 404},
		"web page":        {Code: sdk.CodeUnavailable, Retryable: true, ProviderStatus: 502},
		"silent":          {Code: sdk.CodeTimeout, Retryable: true},
		"fails midway":    {Code: sdk.CodeUnavailable, Retryable: true, ProviderStatus: 529},
		"connection lost": {Code: sdk.CodeUnavailable, Retryable: true},
		"ends early":      {Code: sdk.CodeUnavailable, Retryable: true},
	} {
		_, err := p.Chat(t.Context(), remotetest.Ask("claude-a", text), &remotetest.Answer{})
		var got *sdk.Error
		if !errors.As(err, &got) {
			t.Errorf("Chat(%q) = %v, want an *sdk.Error", text, err)
			continue
		}
		message := got.Message
		withoutMessage := *got
		withoutMessage.Message = ""
		if withoutMessage != want || message == "" {
			t.Errorf("%s: got %+v, want %+v", text, *got, want)
		}
	}
}

func TestErrorsContainNoSecrets(t *testing.T) {
	t.Parallel()
	p, _ := configured(t, func(c *config) { c.APIKey = "sk-wrong-key-123456" })
	_, err := p.Chat(t.Context(), remotetest.Ask("claude-a", "hello"), &remotetest.Answer{})
	if err == nil || sdk.AsError(err).Code != sdk.CodeUnauthorized || strings.Contains(err.Error(), "sk-wrong") {
		t.Errorf("got %v", err)
	}
	dead := newProvider()
	dead.config = config{BaseURL: "http://127.0.0.1:1", Timeout: time.Second, MaxTokens: 1}
	if err := dead.Configure(t.Context(), sdk.Env{}); err != nil {
		t.Fatal(err)
	}
	if _, err = dead.ListModels(t.Context()); err == nil || !strings.Contains(err.Error(), "is not reachable") ||
		!sdk.AsError(err).Retryable {
		t.Errorf("ListModels() of an unreachable server = %v", err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	p, _ := configured(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := p.Chat(ctx, remotetest.Ask("claude-a", "slow"), &remotetest.Answer{Sent: cancel})
	if err == nil || sdk.AsError(err).Code != sdk.CodeCancelled {
		t.Errorf("got %v", err)
	}
}

func TestListModels(t *testing.T) {
	t.Parallel()
	p, _ := configured(t, nil)
	models, err := p.ListModels(t.Context())
	if err != nil || len(models) != 2 || models[0].ID != "claude-a" || models[0].ContextWindow != 200000 ||
		models[0].MaxOutputTokens != 64000 || models[1].DisplayName != "Claude B" {
		t.Errorf("ListModels() = %+v, %v", models, err)
	}
	p, _ = configured(t, func(c *config) { c.Models = []string{"mine"} })
	if models, err = p.ListModels(t.Context()); err != nil || len(models) != 1 || models[0].ID != "mine" {
		t.Errorf("ListModels() = %+v, %v", models, err)
	}
}

func TestConfigure_invalid(t *testing.T) {
	t.Parallel()
	for path, change := range map[string]func(*config){
		"base_url":   func(c *config) { c.BaseURL = "api.anthropic.com" },
		"api_key":    func(c *config) { c.APIKey, c.BaseURL = "", "https://api.anthropic.com" },
		"timeout":    func(c *config) { c.Timeout = 0 },
		"max_tokens": func(c *config) { c.MaxTokens = 0 },
		"headers":    func(c *config) { c.Headers = map[string]string{"a b": "c"} },
	} {
		p := newProvider()
		p.config = config{BaseURL: "http://127.0.0.1", APIKey: "k", Timeout: time.Second, MaxTokens: 1}
		change(&p.config)
		var configErr *sdk.ConfigError
		if err := p.Configure(t.Context(), sdk.Env{}); !errors.As(err, &configErr) || configErr.Path[0] != path {
			t.Errorf("Configure() = %v, want an error at %s", err, path)
		}
	}
}
