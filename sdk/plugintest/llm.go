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
	// large is a big message, in bytes.
	large = 5 << 20
	// cancelTime is how long a call may take to end that nobody wants any more.
	cancelTime = time.Second
)

// addTool is what models are offered.
var addTool = sdk.Tool{
	Name: "plugintest_add", Description: "Adds two numbers.",
	Parameters: `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"]}`,
}

// llmChecks is a run of the llm checks.
type llmChecks struct {
	plugin   *Plugin
	provider llm.Provider
	script   Script
}

// LLM checks a provider of language models. Its model is asked some thirty
// times: give one that costs little, or a server that stands for it.
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
			t.Errorf("ListModels: the id %q is empty, or there twice", m.ID)
		}
		seen[m.ID] = true
	}
	if s.script.Model == "" {
		if len(models) == 0 {
			t.Fatal("ListModels: there is none; name one in the script")
		}
		s.script.Model = models[0].ID
	}
}

// said is an answer as it came.
type said struct {
	text   strings.Builder
	calls  []sdk.ToolCall
	pieces int
	// first closes with the first piece; nil for nobody waits.
	first chan struct{}
}

// Send implements llm.Stream.
func (a *said) Send(d llm.Delta) error {
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

// request asks the model with a prompt.
func (s *llmChecks) request(stream bool, prompt string, tools ...sdk.Tool) *llm.Request {
	return &llm.Request{
		Model: s.script.Model, Messages: []sdk.Message{sdk.Text(sdk.RoleUser, prompt)}, Tools: tools, Stream: stream, RunID: "plugintest",
	}
}

// ask wants an answer.
func (s *llmChecks) ask(t *testing.T, req *llm.Request) (*said, *llm.Finish) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	a := &said{}
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
			t.Errorf("the answer (streamed: %t) has no text", stream)
		}
		if finish.Reason != llm.FinishStop && finish.Reason != llm.FinishLength {
			t.Errorf("the answer ends with %q; want %q", finish.Reason, llm.FinishStop)
		}
		if finish.Usage.InputTokens <= 0 || finish.Usage.OutputTokens <= 0 {
			t.Errorf("the usage of an answer (streamed: %t) is %+v; want tokens of input and of output", stream, finish.Usage)
		}
	}
}

// tools wants a call and, told its result, an answer.
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
		t.Fatalf("there are %d tool calls, and the answer ends with %q; want %q", len(a.calls), finish.Reason, llm.FinishToolCalls)
	}
	answer := sdk.Text(sdk.RoleAssistant, a.text.String())
	answer.ToolCalls = a.calls
	req.Messages = append(req.Messages, answer)
	ids := map[string]bool{}
	for _, call := range a.calls {
		var arguments map[string]any
		if err := json.Unmarshal([]byte(call.Arguments), &arguments); err != nil {
			t.Errorf("the arguments %q are no JSON object: %v", call.Arguments, err)
		}
		if call.ID == "" || ids[call.ID] || call.Name != addTool.Name {
			t.Errorf("a tool call is %+v; want an id of its own and the name %s", call, addTool.Name)
		}
		ids[call.ID] = true
		result := sdk.Text(sdk.RoleTool, "5")
		result.ToolCallID = call.ID
		req.Messages = append(req.Messages, result)
	}
	if a, finish = s.ask(t, req); a != nil && (a.text.Len() == 0 || finish.Reason != llm.FinishStop) {
		t.Errorf("told the tool's result, the answer is %q and ends with %q; want a text and %q", a.text.String(), finish.Reason, llm.FinishStop)
	}
}

func (s *llmChecks) rateLimited(t *testing.T) {
	if s.script.LimitedPrompt == "" {
		missing(t, "limited_prompt")
	}
	_, err := s.provider.Chat(t.Context(), s.request(true, s.script.LimitedPrompt), &said{})
	if err == nil {
		t.Fatal("there is an answer")
	}
	if e := sdk.AsError(err); e.Code != sdk.CodeRateLimited || !e.Retryable || e.Message == "" {
		t.Errorf("the error is %+v; want the code %s, retryable, with a message", e, sdk.CodeRateLimited)
	}
}

func (s *llmChecks) cancelled(t *testing.T) {
	if s.script.SlowPrompt == "" {
		missing(t, "slow_prompt")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a := &said{first: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		_, err := s.provider.Chat(ctx, s.request(true, s.script.SlowPrompt), a)
		ended <- err
	}()
	select {
	case <-a.first:
	case err := <-ended:
		t.Fatalf("it ended (%v) before it could be cancelled", err)
	case <-time.After(patience):
		t.Fatalf("nothing came within %s", patience)
	}
	cancel()
	select {
	case err := <-ended:
		if err == nil || sdk.AsError(err).Code != sdk.CodeCancelled {
			t.Errorf("a cancelled answer ends with %v; want %s", err, sdk.CodeCancelled)
		}
	case <-time.After(cancelTime):
		t.Errorf("it has not ended %s after it was cancelled", cancelTime)
	}
	wantHealthy(t, s.plugin.Base())
}

// large wants an answer to a large message, or a refusal of the model's.
func (s *llmChecks) large(t *testing.T) {
	prompt := s.script.Prompt + strings.Repeat(" word", large/5)
	_, err := s.provider.Chat(t.Context(), s.request(false, prompt), &said{})
	if err == nil {
		return
	}
	switch e := sdk.AsError(err); e.Code {
	case sdk.CodeContextTooLong, sdk.CodeInvalidRequest, sdk.CodeRateLimited:
	default:
		t.Errorf("a message of 5 MiB: %v", err)
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

// llmKilled wants the end of the process to be told to whoever waits for an answer.
func llmKilled(t *testing.T, c Command, script Script) {
	t.Helper()
	if script.SlowPrompt == "" {
		missing(t, "slow_prompt")
	}
	p := Start(t, "llm", c)
	s := &llmChecks{plugin: p, provider: llm.NewClient(p.Conn), script: script}
	a := &said{first: make(chan struct{})}
	go func() {
		<-a.first
		p.Kill()
	}()
	_, err := s.provider.Chat(t.Context(), s.request(true, script.SlowPrompt), a)
	if err == nil || sdk.AsError(err).Code != sdk.CodePluginCrashed {
		t.Errorf("a killed plugin's answer ends with %v; want %s", err, sdk.CodePluginCrashed)
	}
}
