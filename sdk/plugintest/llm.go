package plugintest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

const (
	// large is the size of a large message in bytes.
	large = 5 << 20
	// cancelTime is the time that a cancelled call has to end.
	cancelTime = time.Second
	// answerTime is the maximum duration of an answer.
	answerTime = 2 * time.Minute
)

// llmChecks contains the state of the checks of a provider.
type llmChecks struct {
	command  Command
	plugin   *Plugin
	provider llm.Provider
	script   Script
}

// LLM checks a provider of language models. It requests about sixty completions, so use a cheap model or a server that
// simulates one.
func LLM(t *testing.T, c Command) {
	t.Helper()
	s := &llmChecks{command: c, script: c.Script}
	if s.script.Prompt == "" {
		s.script.Prompt = "Say hello."
	}
	if s.script.UnicodePrompt == "" {
		s.script.UnicodePrompt = "Repeat exactly this text: " + unicodeText
	}
	s.start(t)
	t.Run("Base", func(t *testing.T) { base(t, "llm", c, s.plugin) })
	if !t.Run("Models", func(t *testing.T) { (&subtest{"Models", s.models}).do(t, "llm") }) {
		return
	}
	subtests(t, "llm", []subtest{
		{"Answer", s.answer},
		{"Unicode", s.unicode},
		{"Tools", s.tools},
		{"ParallelTools", s.parallelTools},
		{"RateLimited", s.rateLimited},
		{"Cancelled", s.cancelled},
		{"Large", s.large},
		{"Parallel", s.parallel},
		{"Leaks", s.leaks},
		{"Killed", s.killed},
	})
}

// start starts the plugin for the checks.
func (s *llmChecks) start(t *testing.T) {
	t.Helper()
	s.plugin = Start(t, "llm", s.command)
	s.provider = llm.NewClient(s.plugin.Conn)
}

// alone returns checks with a plugin of their own.
func (s *llmChecks) alone(t *testing.T) *llmChecks {
	t.Helper()
	other := *s
	other.start(t)
	return &other
}

func (s *llmChecks) models(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), modelsTimeout)
	defer cancel()
	models, err := s.provider.ListModels(ctx)
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
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	a := &answer{}
	finish, err := s.provider.Chat(ctx, req, a)
	switch {
	case err != nil && strings.Contains(err.Error(), "UTF-8"):
		t.Errorf("Chat: %v. Send only whole characters: keep the bytes of an incomplete one for the next delta", err)
		return nil, nil
	case err != nil:
		t.Errorf("Chat: %v", err)
		return nil, nil
	}
	for _, problem := range a.problems {
		t.Error(problem)
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
		if problem := usageProblem(finish.Usage); problem != "" {
			t.Errorf("the usage of an answer (stream %t) = %+v, %s", stream, finish.Usage, problem)
		}
	}
}

// maxUsage is the maximum number of tokens of a short prompt and of its answer.
const maxUsage = 1_000_000

// usageProblem returns what is wrong with the usage of a short answer, or "".
func usageProblem(u sdk.Usage) string {
	switch {
	case u.InputTokens <= 0 || u.OutputTokens <= 0:
		return "want input and output tokens"
	case u.InputTokens > maxUsage || u.OutputTokens > maxUsage:
		return "want at most 1,000,000 tokens for a short prompt"
	case u.CachedInputTokens < 0 || u.CachedInputTokens > u.InputTokens:
		return "want cached input tokens that the input tokens include"
	case u.ReasoningTokens < 0 || u.ReasoningTokens > u.OutputTokens:
		return "want reasoning tokens that the output tokens include"
	}
	return ""
}

// unicodeText has characters of 2, 3 and 4 bytes, and one that consists of several.
const unicodeText = "Grüße, 世界, 😀 👩🏽‍🚀"

// unicode checks that characters that are not ASCII arrive.
func (s *llmChecks) unicode(t *testing.T) {
	for _, stream := range []bool{true, false} {
		a, _ := s.ask(t, s.request(stream, s.script.UnicodePrompt))
		if a == nil {
			continue
		}
		if text := a.text.String(); strings.ContainsRune(text, utf8.RuneError) {
			t.Errorf("the answer (stream %t) to %q is %q, which contains the replacement character U+FFFD: a character "+
				"was split, and each part was decoded alone", stream, s.script.UnicodePrompt, text)
		}
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
