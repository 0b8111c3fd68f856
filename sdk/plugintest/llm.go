package plugintest

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

const (
	// large is the size of a large message in bytes.
	large = 5 << 20
	// cancelTime is the time that a cancelled call has to end.
	cancelTime = time.Second
)

// addTool is the tool of requests.
var addTool = sdk.Tool{
	Name: "plugintest_add", Description: "Adds two numbers.",
	Parameters: `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"]}`,
}

// llmChecks contains the state of the checks of a provider.
type llmChecks struct {
	plugin   *Plugin
	provider llm.Provider
	script   Script
}

// LLM checks a provider of language models. It requests about thirty completions, so use a cheap model or
// a server that simulates one.
func LLM(t *testing.T, c Command) {
	t.Helper()
	p := Start(t, "llm", c)
	s := &llmChecks{plugin: p, provider: llm.NewClient(p.Conn), script: c.Script}
	if s.script.Prompt == "" {
		s.script.Prompt = "Say hello."
	}
	t.Run("Base", func(t *testing.T) { base(t, "llm", c) })
	if !t.Run("Models", s.models) {
		return
	}
	subtests(t, []subtest{
		{"Answer", s.answer},
		{"Tools", s.tools},
		{"RateLimited", s.rateLimited},
		{"Cancelled", s.cancelled},
		{"Large", s.large},
		{"Parallel", s.parallel},
		{"Killed", func(t *testing.T) { llmKilled(t, c, s.script) }},
	})
}

func (s *llmChecks) models(t *testing.T) {
	models, err := s.provider.ListModels(t.Context())
	if err != nil {
		t.Fatalf("ListModels: %v", err)
	}
	seen := map[string]bool{}
	for _, m := range models {
		if m.ID == "" || seen[m.ID] {
			t.Errorf("ListModels returned the ID %q, want unique IDs that are not empty", m.ID)
		}
		seen[m.ID] = true
	}
	if s.script.Model == "" {
		if len(models) == 0 {
			t.Fatal("ListModels returned no model; set model in the script")
		}
		s.script.Model = models[0].ID
	}
}

// answer is an llm.Stream that collects the pieces of an answer.
type answer struct {
	text   strings.Builder
	calls  []sdk.ToolCall
	pieces int
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
	if c := d.ToolCall; c != nil {
		for len(a.calls) <= c.Index {
			a.calls = append(a.calls, sdk.ToolCall{})
		}
		call := &a.calls[c.Index]
		call.ID += c.ID
		call.Name += c.Name
		call.Arguments += c.Arguments
	}
	return nil
}

// request returns a request with a prompt.
func (s *llmChecks) request(stream bool, prompt string, tools ...sdk.Tool) *llm.Request {
	return &llm.Request{
		Model: s.script.Model, Messages: []sdk.Message{sdk.Text(sdk.RoleUser, prompt)},
		Tools: tools, Stream: stream, RunID: "plugintest",
	}
}

// ask returns the answer to a request. If the request fails, it fails the test and returns nil.
func (s *llmChecks) ask(t *testing.T, req *llm.Request) (*answer, *llm.Finish) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	a := &answer{}
	finish, err := s.provider.Chat(ctx, req, a)
	if err != nil {
		t.Errorf("Chat: %v", err)
		return nil, nil
	}
	return a, finish
}

func (s *llmChecks) answer(t *testing.T) {
	for _, stream := range []bool{true, false} {
		a, finish := s.ask(t, s.request(stream, s.script.Prompt))
		if a == nil {
			continue
		}
		if a.text.Len() == 0 {
			t.Errorf("the answer (stream %t) has no text", stream)
		}
		if finish.Reason != llm.FinishStop && finish.Reason != llm.FinishLength {
			t.Errorf("the answer ended with %q, want %q", finish.Reason, llm.FinishStop)
		}
		if finish.Usage.InputTokens <= 0 || finish.Usage.OutputTokens <= 0 {
			t.Errorf("the usage of an answer (stream %t) = %+v, want input and output tokens", stream, finish.Usage)
		}
	}
}

// tools checks that the model requests tool calls, and answers when it has their results.
func (s *llmChecks) tools(t *testing.T) {
	if s.script.ToolPrompt == "" {
		missing(t, "tool_prompt")
	}
	req := s.request(true, s.script.ToolPrompt, addTool)
	a, finish := s.ask(t, req)
	if a == nil {
		return
	}
	if len(a.calls) == 0 || finish.Reason != llm.FinishToolCalls {
		t.Fatalf("the answer has %d tool calls and ended with %q, want at least one and %q",
			len(a.calls), finish.Reason, llm.FinishToolCalls)
	}
	answer := sdk.Text(sdk.RoleAssistant, a.text.String())
	answer.ToolCalls = a.calls
	req.Messages = append(req.Messages, answer)
	ids := map[string]bool{}
	for _, call := range a.calls {
		var arguments map[string]any
		if err := json.Unmarshal([]byte(call.Arguments), &arguments); err != nil {
			t.Errorf("the arguments %q are not a JSON object: %v", call.Arguments, err)
		}
		if call.ID == "" || ids[call.ID] || call.Name != addTool.Name {
			t.Errorf("got the tool call %+v, want a unique ID and the name %s", call, addTool.Name)
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

func (s *llmChecks) rateLimited(t *testing.T) {
	if s.script.LimitedPrompt == "" {
		missing(t, "limited_prompt")
	}
	_, err := s.provider.Chat(t.Context(), s.request(true, s.script.LimitedPrompt), &answer{})
	if err == nil {
		t.Fatal("the request succeeded, want an error")
	}
	if e := sdk.AsError(err); e.Code != sdk.CodeRateLimited || !e.Retryable || e.Message == "" {
		t.Errorf("got the error %+v, want code %s, retryable, with a message", e, sdk.CodeRateLimited)
	}
}

func (s *llmChecks) cancelled(t *testing.T) {
	if s.script.SlowPrompt == "" {
		missing(t, "slow_prompt")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a := &answer{first: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		_, err := s.provider.Chat(ctx, s.request(true, s.script.SlowPrompt), a)
		ended <- err
	}()
	select {
	case <-a.first:
	case err := <-ended:
		t.Fatalf("the answer ended with %v before it was cancelled", err)
	case <-time.After(callTimeout):
		t.Fatalf("got no delta within %s", callTimeout)
	}
	cancel()
	select {
	case err := <-ended:
		if err == nil || sdk.AsError(err).Code != sdk.CodeCancelled {
			t.Errorf("a cancelled answer ended with %v, want %s", err, sdk.CodeCancelled)
		}
	case <-time.After(cancelTime):
		t.Errorf("the answer did not end within %s after its cancellation", cancelTime)
	}
	checkHealthy(t, s.plugin.Base())
}

// large checks that a large message leads to an answer or to an error of the model.
func (s *llmChecks) large(t *testing.T) {
	prompt := s.script.Prompt + strings.Repeat(" word", large/5)
	_, err := s.provider.Chat(t.Context(), s.request(false, prompt), &answer{})
	if err == nil {
		return
	}
	switch e := sdk.AsError(err); e.Code {
	case sdk.CodeContextTooLong, sdk.CodeInvalidRequest, sdk.CodeRateLimited:
	default:
		t.Errorf("Chat with a message of 5 MiB: %v", err)
	}
}

func (s *llmChecks) parallel(t *testing.T) {
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			if a, _ := s.ask(t, s.request(true, s.script.Prompt)); a != nil && a.text.Len() == 0 {
				t.Error("an answer has no text")
			}
		})
	}
	wg.Wait()
}

// llmKilled checks that an answer fails with CodePluginCrashed if the process is killed.
func llmKilled(t *testing.T, c Command, script Script) {
	t.Helper()
	if script.SlowPrompt == "" {
		missing(t, "slow_prompt")
	}
	p := Start(t, "llm", c)
	s := &llmChecks{plugin: p, provider: llm.NewClient(p.Conn), script: script}
	a := &answer{first: make(chan struct{})}
	go func() {
		<-a.first
		p.Kill()
	}()
	_, err := s.provider.Chat(t.Context(), s.request(true, script.SlowPrompt), a)
	if err == nil || sdk.AsError(err).Code != sdk.CodePluginCrashed {
		t.Errorf("the answer of a killed plugin ended with %v, want %s", err, sdk.CodePluginCrashed)
	}
}
