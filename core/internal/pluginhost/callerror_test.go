package pluginhost

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// wantHidden fails the test unless err is the typed error want, and the host has logged the plugin's text.
func (h *testHost) wantHidden(t *testing.T, err error, want sdk.Error) {
	t.Helper()
	var e *sdk.Error
	if !errors.As(err, &e) || e.Code != want.Code || e.Message != want.Message {
		t.Errorf("got error %v, want %v", err, &want)
	}
	if e != nil && strings.Contains(e.Message, "10.1.2.3") {
		t.Errorf("the message %q contains the plugin's text", e.Message)
	}
	if !strings.Contains(h.logs.String(), "dial tcp 10.1.2.3:5432") {
		t.Error("the log does not contain the plugin's text")
	}
}

func TestPlainErrorsStayInTheLog(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", ""), mcpBlock(), `plugin "agent" "r" {
  command = "badplugin"
  env     = { BAD = "agent" }
}`)
	ctx := core.WithLogFields(t.Context(), core.LogFields{RunID: "run-7", RequestID: "req-7"})
	for _, model := range []string{"plain", "panic"} {
		_, err := h.chat(ctx, "a", model, 0)
		h.wantHidden(t, err, sdk.Error{
			Code:    sdk.CodeInternal,
			Message: "plugin llm/a failed with an internal error; the server's log has the reason under run_id run-7",
		})
	}
	_, err := h.chat(ctx, "a", "plain-timeout", 0)
	h.wantHidden(t, err, sdk.Error{Code: sdk.CodeTimeout, Message: "the operation exceeded its deadline"})

	runner, err := h.Agent(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}
	for _, input := range []string{"plain", "panic"} {
		_, err := runner.Run(ctx, &agent.Run{ID: "run-7", Input: sdk.Text(sdk.RoleUser, input)}, nil)
		h.wantHidden(t, err, sdk.Error{
			Code:    sdk.CodeInternal,
			Message: "plugin agent/r failed with an internal error; the server's log has the reason under run_id run-7",
		})
	}

	transport, err := h.MCPTransport(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	request := core.WithLogFields(t.Context(), core.LogFields{RequestID: "req-7"})
	want := sdk.Error{
		Code:    sdk.CodeInternal,
		Message: "plugin mcp/a failed with an internal error; the server's log has the reason under request_id req-7",
	}
	h.wantHidden(t, transport.CheckConfig(request, json.RawMessage(`{"plain":true}`)), want)
	_, err = transport.Connect(request, mcptransport.Open{Slug: "plain"})
	h.wantHidden(t, err, want)
}

func TestRunKeepsErrorsOfTheHost(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, `plugin "agent" "r" {
  command = "badplugin"
  env     = { BAD = "agent" }
}`)
	runner, err := h.Agent(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []sdk.Error{
		{Code: sdk.CodeInternal, Message: `provider "x": the answer is invalid`},
		{Code: sdk.CodePluginCrashed, Message: "plugin llm/x crashed"},
	} {
		_, err := runner.Run(t.Context(), &agent.Run{ID: "run-1"},
			handler(func() (*agent.Result, error) { return nil, &want }))
		var e *sdk.Error
		if !errors.As(err, &e) || e.Code != want.Code || e.Message != want.Message {
			t.Errorf("got error %v, want %v", err, &want)
		}
		var crash *core.PluginCrash
		if errors.As(err, &crash) || errors.Is(err, agent.ErrPluginCrashed) {
			t.Errorf("got error %v, which counts as a crash of the agent type", err)
		}
	}
}

func TestTypedErrorsReachTheCaller(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("a", ""))
	_, _, p, err := h.Provider(t.Context(), "a/refused")
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Chat(t.Context(), &llm.Request{Model: "refused"}, &texts{})
	var e *sdk.Error
	if !errors.As(err, &e) || e.Code != sdk.CodeInvalidRequest || e.Message != "try 1" {
		t.Errorf("got error %v, want that of the provider", err)
	}
}
