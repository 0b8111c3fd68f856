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
	binary := testenv.Binary(t, "llm-gemini")
	plugintest.LLM(t, plugintest.Command{
		Path: binary, Config: map[string]any{"base_url": newFakeServer(t).URL, "api_key": remotetest.Key},
		Script: plugintest.Script{
			Model: "gemini-a", ToolPrompt: "tool", ParallelToolPrompt: "tool", LimitedPrompt: "limited", SlowPrompt: "slow",
		},
	})
}

// configured returns a provider and its fake server.
func configured(t *testing.T, change func(*config)) (*provider, *remotetest.Server) {
	t.Helper()
	s := newFakeServer(t)
	p := newProvider()
	p.config = config{BaseURL: s.URL, APIKey: remotetest.Key + "\n", Timeout: 10 * time.Second}
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
	_, err := p.Chat(ctx, remotetest.Ask("gemini-a", "slow"), &remotetest.Answer{Sent: cancel})
	if err == nil || sdk.AsError(err).Code != sdk.CodeCancelled {
		t.Errorf("got %v", err)
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	p, s := configured(t, nil)
	req := remotetest.Ask("gemini-a", "hello")
	half, maxTokens := 0.5, int64(77)
	req.Temperature, req.TopP, req.MaxTokens, req.Stop = &half, &half, &maxTokens, []string{"END"}
	req.Messages = append([]sdk.Message{sdk.Text(sdk.RoleSystem, "Be short.")}, req.Messages...)
	a, finish := mustChat(t, p, req)
	want := llm.Finish{
		Reason: llm.FinishStop, Model: "gemini-a-001",
		Usage: sdk.Usage{InputTokens: 12, OutputTokens: 7, CachedInputTokens: 5, ReasoningTokens: 3},
	}
	if a.Text != "Hello there." || a.Pieces != 2 || *finish != want {
		t.Errorf("Chat() = %q in %d pieces, %+v, want %+v", a.Text, a.Pieces, finish, want)
	}
	for path, value := range map[string]string{
		"generationConfig.maxOutputTokens": "77", "generationConfig.temperature": "0.5", "generationConfig.topP": "0.5",
		"generationConfig.stopSequences.0": "END", "systemInstruction.parts.0.text": "Be short.", "contents.#": "1",
	} {
		if got := gjson.Get(s.Last(), path).String(); got != value {
			t.Errorf("%s in the request = %s, want %s", path, got, value)
		}
	}
}

func TestTools(t *testing.T) {
	t.Parallel()
	p, s := configured(t, nil)
	req := remotetest.Ask("gemini-a", "tool", remotetest.AddTool)
	a, finish := mustChat(t, p, req)
	if finish.Reason != llm.FinishToolCalls || len(a.Calls) != 2 || a.Calls[0].Arguments != `{"a":2,"b":3}` ||
		a.Calls[1].Name != "plugintest_add" || a.Calls[0].ID == "" || a.Calls[0].ID == a.Calls[1].ID {
		t.Fatalf("Chat() = %+v, %+v", a, finish)
	}
	if schema := gjson.Get(
		s.Last(), "tools.0.functionDeclarations.0.parametersJsonSchema",
	); schema.Get("required.#").Int() != 2 {
		t.Errorf("the tool's schema = %s", schema)
	}
	next := remotetest.WithResults(req, a, "5")
	a, finish = mustChat(t, p, next)
	if a.Text != "It is 5." || finish.Reason != llm.FinishStop {
		t.Errorf("Chat() = %+v, %+v", a, finish)
	}
	call, result := gjson.Get(s.Last(), "contents.1.parts.0"), gjson.Get(s.Last(), "contents.2.parts.1.functionResponse")
	if result.Get("name").String() != "plugintest_add" || result.Get("response.output").String() != "5" {
		t.Errorf("the tool result = %s", result)
	}
	if call.Get("thoughtSignature").String() != "c2lnbmVk" {
		t.Errorf("the tool call in the next request = %s", call)
	}
	// Another process does not have the signature.
	other, s := configured(t, nil)
	next.Model = "gemini-3-a"
	mustChat(t, other, next)
	if signature := gjson.Get(
		s.Last(), "contents.1.parts.0.thoughtSignature",
	).String(); signature != "skip/thought/signature/validator" {
		t.Errorf("signature = %q, want the placeholder", signature)
	}
}

func TestFinishReasonsAndReasoning(t *testing.T) {
	t.Parallel()
	p, _ := configured(t, nil)
	for word, reason := range map[string]llm.FinishReason{
		"STOP": llm.FinishStop, "MAX_TOKENS": llm.FinishLength,
		"SAFETY": llm.FinishContentFilter, "RECITATION": llm.FinishContentFilter,
	} {
		if _, finish := mustChat(t, p, remotetest.Ask("gemini-a", "stop "+word)); finish.Reason != reason {
			t.Errorf("finish reason for %s = %s, want %s", word, finish.Reason, reason)
		}
	}
	if a, _ := mustChat(t, p, remotetest.Ask("gemini-a", "think")); a.Reasoning != "Hm." || a.Text != "Yes." {
		t.Errorf("Chat() = %+v", a)
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	p, s := configured(t, nil)
	req := remotetest.Ask("gemini-a", "What is this?")
	req.Messages[0].Parts = append(req.Messages[0].Parts,
		sdk.Part{Blob: &sdk.Blob{MediaType: "image/png", Data: []byte("png")}})
	mustChat(t, p, req)
	if d := gjson.Get(s.Last(), "contents.0.parts.1.inlineData"); d.Get("mimeType").String() != "image/png" ||
		d.Get("data").String() != "cG5n" {
		t.Errorf("inlineData = %s", d)
	}
	req.Messages[0].Parts[1].Blob.MediaType = "application/zip"
	if _, err := p.Chat(t.Context(), req, &remotetest.Answer{}); err == nil ||
		sdk.AsError(err).Code != sdk.CodeInvalidRequest {
		t.Errorf("Chat() with a zip file = %v, want code invalid_request", err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	p, _ := configured(t, func(c *config) { c.Timeout = 500 * time.Millisecond })
	for text, want := range map[string]sdk.Error{
		"limited":                      {Code: sdk.CodeRateLimited, Retryable: true, RetryAfter: 7 * time.Second, ProviderStatus: 429},
		"overloaded":                   {Code: sdk.CodeUnavailable, Retryable: true, ProviderStatus: 503},
		"long":                         {Code: sdk.CodeContextTooLong, ProviderStatus: 400},
		"silent":                       {Code: sdk.CodeTimeout, Retryable: true},
		"blocked":                      {Code: sdk.CodeContentFilter},
		"stop MALFORMED_FUNCTION_CALL": {Code: sdk.CodeUnavailable, Retryable: true},
		"fails midway":                 {Code: sdk.CodeUnavailable, Retryable: true, ProviderStatus: 503},
		"connection lost":              {Code: sdk.CodeUnavailable, Retryable: true},
		"ends early":                   {Code: sdk.CodeUnavailable, Retryable: true},
	} {
		_, err := p.Chat(t.Context(), remotetest.Ask("gemini-a", text), &remotetest.Answer{})
		wantError(t, text, err, want)
	}
	_, err := p.Chat(t.Context(), remotetest.Ask("none", "hello"), &remotetest.Answer{})
	wantError(t, "no such model", err, sdk.Error{Code: sdk.CodeNotFound, ProviderStatus: 404})
}

// wantError fails the test unless err is want with any message.
func wantError(t *testing.T, name string, err error, want sdk.Error) {
	t.Helper()
	var got *sdk.Error
	if !errors.As(err, &got) {
		t.Errorf("%s: err = %v, want an *sdk.Error", name, err)
		return
	}
	withoutMessage := *got
	withoutMessage.Message = ""
	if withoutMessage != want || got.Message == "" {
		t.Errorf("%s: got %+v, want %+v", name, *got, want)
	}
}

func TestErrorsContainNoSecrets(t *testing.T) {
	t.Parallel()
	p, _ := configured(t, func(c *config) { c.APIKey = "wrong-key-123456" })
	_, err := p.Chat(t.Context(), remotetest.Ask("gemini-a", "hello"), &remotetest.Answer{})
	if err == nil || sdk.AsError(err).Code != sdk.CodeUnauthorized || strings.Contains(err.Error(), "wrong-key") {
		t.Errorf("got %v", err)
	}
}

func TestListModels(t *testing.T) {
	t.Parallel()
	p, _ := configured(t, nil)
	models, err := p.ListModels(t.Context())
	if err != nil || len(models) != 2 || models[0].ID != "gemini-a" || models[0].ContextWindow != 1048576 ||
		len(models[0].Capabilities) != 3 || models[1].ID != "gemini-b" {
		t.Errorf("ListModels() = %+v, %v", models, err)
	}
}

func TestConfigure_invalid(t *testing.T) {
	t.Parallel()
	for path, change := range map[string]func(*config){
		"base_url": func(c *config) { c.BaseURL = "https://user:pass@example.com" },
		"api_key":  func(c *config) { c.APIKey, c.BaseURL = "", "https://generativelanguage.googleapis.com" },
		"timeout":  func(c *config) { c.Timeout = -1 },
		"headers":  func(c *config) { c.Headers = map[string]string{"a": "b\n"} },
	} {
		p := newProvider()
		p.config = config{BaseURL: "http://127.0.0.1", APIKey: "k", Timeout: time.Second}
		change(&p.config)
		var configErr *sdk.ConfigError
		if err := p.Configure(t.Context(), sdk.Env{}); !errors.As(err, &configErr) || configErr.Path[0] != path {
			t.Errorf("Configure() = %v, want an error at %s", err, path)
		}
	}
}
