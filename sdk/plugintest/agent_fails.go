package plugintest

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// hostFails checks that a run does not hide the error of a call. After a failed completion there is no answer. A run
// may tell the model that a tool call failed.
func (s *agentChecks) hostFails(t *testing.T) {
	isCompletion := func(c *agent.Call) bool { return c.Complete != nil }
	for _, tt := range []struct {
		calls string
		fails func(*agent.Call) bool
		// mayAnswer reports whether the run may have an answer.
		mayAnswer bool
	}{
		{"all calls", func(*agent.Call) bool { return true }, false},
		{"all completions", isCompletion, false},
		{
			"the completion after the tool calls",
			func(c *agent.Call) bool { return isCompletion(c) && hasToolResult(c.Complete.Messages) },
			false,
		},
		{"all tool calls", func(c *agent.Call) bool { return c.CallTool != nil }, true},
	} {
		failed, err := s.failCalls(t, tt.fails)
		switch code := codeOf(err); {
		case !failed:
		case err == nil && !tt.mayAnswer:
			t.Errorf("the run succeeded although %s failed, want the error of the host with code %s: an answer that no "+
				"model gave is not an answer", tt.calls, sdk.CodeUnavailable)
		case code == sdk.CodeInternal || code == sdk.CodePluginCrashed:
			t.Errorf("the run ended with %v after %s failed, want the error of the host with code %s",
				err, tt.calls, sdk.CodeUnavailable)
		case code == sdk.CodeTimeout:
			t.Errorf("the run did not end within %s after %s failed", callTimeout, tt.calls)
		}
	}
}

// failCalls executes a run whose calls fail if fails returns true for them. It returns whether a call has failed, and
// the error of the run.
func (s *agentChecks) failCalls(t *testing.T, fails func(*agent.Call) bool) (failed bool, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	var rejected atomic.Bool
	_, err = s.client.Run(ctx, s.run(), &scripted{before: func(_ context.Context, call *agent.Call) error {
		if !fails(call) {
			return nil
		}
		rejected.Store(true)
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: "plugintest rejects this call", Retryable: true}
	}})
	return rejected.Load(), err
}
