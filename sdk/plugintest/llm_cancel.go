package plugintest

import (
	"context"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// cancelled checks that a cancelled answer ends, in the plugin as well.
func (s *llmChecks) cancelled(t *testing.T) {
	if s.script.SlowPrompt == "" {
		missing(t, "slow_prompt")
	}
	s = s.alone(t)
	s.cancelAnswer(t)
	s.plugin.checkIdle(t, cancelTime, "the cancellation of an answer")
	checkHealthy(t, s.plugin.Base())
}

// cancelAnswer cancels a slow answer after its first piece.
func (s *llmChecks) cancelAnswer(t *testing.T) {
	t.Helper()
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
}

// leaks checks what answers leave behind.
func (s *llmChecks) leaks(t *testing.T) {
	s = s.alone(t)
	s.plugin.checkLeaks(t, "completions", func() {
		s.ask(t, s.request(true, s.script.Prompt))
		if s.script.SlowPrompt != "" {
			s.cancelAnswer(t)
		}
	})
}

// killed checks that an answer fails with CodePluginCrashed if the process is killed.
func (s *llmChecks) killed(t *testing.T) {
	if s.script.SlowPrompt == "" {
		missing(t, "slow_prompt")
	}
	s = s.alone(t)
	a := &answer{first: make(chan struct{})}
	go func() {
		<-a.first
		s.plugin.Kill()
	}()
	_, err := s.provider.Chat(t.Context(), s.request(true, s.script.SlowPrompt), a)
	if err == nil || sdk.AsError(err).Code != sdk.CodePluginCrashed {
		t.Errorf("the answer of a killed plugin ended with %v, want %s", err, sdk.CodePluginCrashed)
	}
}
