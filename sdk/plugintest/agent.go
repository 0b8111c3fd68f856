package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// agentChecks is a run of the agent checks.
type agentChecks struct {
	client *agent.Client
	config json.RawMessage
}

// Agent checks an agent type, with a host whose model wants two tools at once
// when it is offered any, and answers when it has their results.
func Agent(t *testing.T, c Command) {
	t.Helper()
	if c.AgentConfig == nil {
		c.AgentConfig = map[string]any{"model": "plugintest"}
	}
	config, err := json.Marshal(c.AgentConfig)
	if err != nil {
		t.Fatalf("AgentConfig: %v", err)
	}
	s := &agentChecks{client: agent.NewClient(Start(t, agent.Kind, c).Conn), config: config}
	s.client.Grace = patience // for what does not end when it is cancelled is to be seen
	t.Run("Base", func(t *testing.T) { base(t, agent.Kind, c) })
	subtests(t, []subtest{
		{"Schema", s.schema},
		{"Answer", s.answer},
		{"Replay", s.replay},
		{"OutOfOrder", s.outOfOrder},
		{"Cancelled", s.cancelled},
		{"HostFails", s.hostFails},
		{"Large", s.large},
		{"Parallel", s.parallel},
		{"Killed", func(t *testing.T) { agentKilled(t, c, config) }},
	})
}

func (s *agentChecks) schema(t *testing.T) {
	schema, err := s.client.Schema(t.Context())
	if err != nil {
		t.Fatalf("Schema: %v", err)
	}
	var object map[string]any
	if err := json.Unmarshal(schema, &object); err != nil || object["type"] != "object" {
		t.Errorf("the schema is %s; want a JSON Schema of an object", schema)
	}
}

// run is the same each time.
func (s *agentChecks) run() *agent.Run {
	return &agent.Run{
		ID: "run-plugintest", AgentID: "agent-plugintest", SessionID: "session-plugintest", Config: s.config,
		History: []sdk.Message{sdk.Text(sdk.RoleUser, "Hello."), sdk.Text(sdk.RoleAssistant, "Good day.")},
		Input:   sdk.Text(sdk.RoleUser, "Add 2 and 3, and 4 and 5."),
		Time:    time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seed: 42,
	}
}

// scripted is the host: it answers always the same, and keeps what was asked.
type scripted struct {
	// before, if set, is called before a call is answered.
	before func(ctx context.Context, call *agent.Call) error

	mu    sync.Mutex
	calls []string
	// wrong are results of tools that reached the model under another call's id.
	wrong []string
}

// Handle implements agent.Handler.
func (h *scripted) Handle(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	h.keep(call)
	if h.before != nil {
		if err := h.before(ctx, call); err != nil {
			return nil, err
		}
	}
	switch {
	case call.Complete != nil:
		return &agent.Result{Answer: h.complete(call.Complete)}, nil
	case call.ListTools:
		return &agent.Result{Tools: []sdk.Tool{addTool}}, nil
	case call.CallTool != nil:
		return &agent.Result{ToolResult: &sdk.ToolResult{Parts: []sdk.Part{{Text: resultOf(call.CallTool.ID)}}}}, nil
	case call.ReadFile != nil:
		return &agent.Result{Data: []byte{}}, nil
	}
	return nil, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "plugintest knows no such call"}
}

func resultOf(id string) string { return "the result of " + id }

// keep notes a call as it came over the wire.
func (h *scripted) keep(call *agent.Call) {
	var parts []any
	if c := call.Complete; c != nil {
		parts = append(parts, "complete", c.Model, c.Messages, c.Tools, c.Temperature, c.MaxTokens, c.TopP, c.Stop, c.Forward, c.Final)
	}
	parts = append(parts, call.CallTool, call.ListTools, call.ReadFile)
	data, err := json.Marshal(parts)
	if err != nil {
		data = []byte(err.Error())
	}
	text := fmt.Sprintf("%6d: %s", call.Number, data)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, text)
}

// made are the calls by their numbers.
func (h *scripted) made() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	calls := slices.Clone(h.calls)
	slices.Sort(calls)
	return calls
}

func (h *scripted) complete(req *agent.Completion) *agent.Answer {
	results := 0
	for _, m := range req.Messages {
		if m.Role != sdk.RoleTool {
			continue
		}
		results++
		if text := m.Text(); !strings.Contains(text, resultOf(m.ToolCallID)) {
			h.mu.Lock()
			h.wrong = append(h.wrong, fmt.Sprintf("%s of %s", text, m.ToolCallID))
			h.mu.Unlock()
		}
	}
	a := &agent.Answer{
		Message: sdk.Text(sdk.RoleAssistant, "That makes 5 and 9."), FinishReason: "stop",
		Usage: sdk.Usage{InputTokens: 10, OutputTokens: 5}, Model: req.Model,
	}
	if len(req.Tools) > 0 && results == 0 {
		a.Message, a.FinishReason = sdk.Text(sdk.RoleAssistant, ""), "tool_calls"
		for i, arguments := range []string{`{"a":2,"b":3}`, `{"a":4,"b":5}`} {
			a.Message.ToolCalls = append(a.Message.ToolCalls, sdk.ToolCall{ID: fmt.Sprint("call-", i+1), Name: addTool.Name, Arguments: arguments})
		}
	}
	return a
}

// do runs once and wants no error.
func (s *agentChecks) do(t *testing.T, run *agent.Run, h *scripted) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := s.client.Run(ctx, run, h); err != nil {
		t.Errorf("Run: %v", err)
	}
	for _, w := range h.wrong {
		t.Errorf("the model is told a tool's result under another call: %s", w)
	}
}

func (s *agentChecks) answer(t *testing.T) {
	h := &scripted{}
	s.do(t, s.run(), h)
	if len(h.made()) == 0 {
		t.Error("the run has asked its host for nothing")
	}
}

// replay wants the same calls of a run that is started again: without that, a
// run that was cut can't go on.
func (s *agentChecks) replay(t *testing.T) {
	var first []string
	for i := range 3 {
		h := &scripted{}
		s.do(t, s.run(), h)
		if i == 0 {
			first = h.made()
		} else if again := h.made(); !slices.Equal(first, again) {
			t.Fatalf("started again, the run makes the calls\n%s\nand not\n%s", strings.Join(again, "\n"), strings.Join(first, "\n"))
		}
	}
}

// outOfOrder answers the first of two tool calls after the second. A loop that
// makes one at a time gets its answer, too.
func (s *agentChecks) outOfOrder(t *testing.T) {
	second := make(chan struct{})
	var once sync.Once
	s.do(t, s.run(), &scripted{before: func(_ context.Context, call *agent.Call) error {
		switch {
		case call.CallTool == nil:
		case call.CallTool.ID == "call-2":
			once.Do(func() { close(second) })
		default:
			select {
			case <-second:
			case <-time.After(time.Second):
			}
		}
		return nil
	}})
}

func (s *agentChecks) cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := make(chan struct{})
	var once sync.Once
	ended := make(chan error, 1)
	go func() {
		_, err := s.client.Run(ctx, s.run(), &scripted{before: func(ctx context.Context, _ *agent.Call) error {
			once.Do(func() { close(asked) })
			<-ctx.Done()
			return ctx.Err()
		}})
		ended <- err
	}()
	select {
	case <-asked:
	case err := <-ended:
		t.Fatalf("it ended (%v) before it could be cancelled", err)
	}
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a cancelled run ends as if nothing was")
		}
	case <-time.After(cancelTime):
		t.Errorf("it has not ended %s after it was cancelled in mid-call", cancelTime)
	}
}

// hostFails wants a run to end when the host can't do what it asks for.
func (s *agentChecks) hostFails(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := s.client.Run(ctx, s.run(), &scripted{before: func(context.Context, *agent.Call) error {
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: "plugintest is not in the mood", Retryable: true}
	}})
	switch code := codeOf(err); {
	case ctx.Err() != nil:
		t.Errorf("the run has not ended within %s", patience)
	case code == sdk.CodeInternal || code == sdk.CodePluginCrashed:
		t.Errorf("the run ends with %v; want the host's own error, %s", err, sdk.CodeUnavailable)
	}
}

func (s *agentChecks) large(t *testing.T) {
	run := s.run()
	run.Input = sdk.Text(sdk.RoleUser, strings.Repeat("word ", large/5))
	s.do(t, run, &scripted{})
}

func (s *agentChecks) parallel(t *testing.T) {
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() { s.do(t, s.run(), &scripted{}) })
	}
	wg.Wait()
}

// agentKilled wants the end of the process to be told to whoever waits for a run.
func agentKilled(t *testing.T, c Command, config json.RawMessage) {
	t.Helper()
	p := Start(t, agent.Kind, c)
	s := &agentChecks{client: agent.NewClient(p.Conn), config: config}
	var once sync.Once
	_, err := s.client.Run(t.Context(), s.run(), &scripted{before: func(ctx context.Context, _ *agent.Call) error {
		once.Do(p.Kill)
		<-ctx.Done()
		return ctx.Err()
	}})
	if !errors.Is(err, agent.ErrPluginCrashed) {
		t.Errorf("a killed plugin's run ends with %v; want that it died", err)
	}
}
