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

// agentChecks contains the state of the checks of an agent type.
type agentChecks struct {
	client *agent.Client
	config json.RawMessage
}

// Agent checks an agent type. The model of its host requests two tool calls if the request has tools, and
// answers when it has their results.
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
	s.client.Grace = callTimeout // the Cancelled check must notice a run that does not end
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
		t.Errorf("got the schema %s, want a JSON Schema of an object", schema)
	}
}

// run returns the same run each time.
func (s *agentChecks) run() *agent.Run {
	return &agent.Run{
		ID: "run-plugintest", AgentID: "agent-plugintest", SessionID: "session-plugintest", Config: s.config,
		History: []sdk.Message{sdk.Text(sdk.RoleUser, "Hello."), sdk.Text(sdk.RoleAssistant, "Good day.")},
		Input:   sdk.Text(sdk.RoleUser, "Add 2 and 3, and 4 and 5."),
		Time:    time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seed: 42,
	}
}

// scripted is a host that always returns the same replies and records the calls.
type scripted struct {
	// before, if set, is called before each reply.
	before func(ctx context.Context, call *agent.Call) error

	mu    sync.Mutex
	calls []string
	// wrong lists the tool results that the model received with the ID of another call.
	wrong []string
}

// Handle implements agent.Handler.
func (h *scripted) Handle(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	h.record(call)
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
	return nil, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "plugintest does not support this call"}
}

func resultOf(id string) string { return "the result of " + id }

// record stores the content of a call.
func (h *scripted) record(call *agent.Call) {
	var parts []any
	if c := call.Complete; c != nil {
		parts = append(parts, "complete", c.Model, c.Messages, c.Tools, c.Temperature, c.MaxTokens, c.TopP, c.Stop,
			c.Forward, c.Final)
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

// recorded returns the calls in the order of their numbers.
func (h *scripted) recorded() []string {
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
			a.Message.ToolCalls = append(a.Message.ToolCalls,
				sdk.ToolCall{ID: fmt.Sprint("call-", i+1), Name: addTool.Name, Arguments: arguments})
		}
	}
	return a
}

// do executes a run and checks that it succeeds.
func (s *agentChecks) do(t *testing.T, run *agent.Run, h *scripted) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	if _, err := s.client.Run(ctx, run, h); err != nil {
		t.Errorf("Run: %v", err)
	}
	for _, w := range h.wrong {
		t.Errorf("the model received a tool result with the ID of another call: %s", w)
	}
}

func (s *agentChecks) answer(t *testing.T) {
	h := &scripted{}
	s.do(t, s.run(), h)
	if len(h.recorded()) == 0 {
		t.Error("the run made no call, want at least one")
	}
}

// replay checks that a repeated run makes the same calls. Otherwise an interrupted run cannot continue.
func (s *agentChecks) replay(t *testing.T) {
	var first []string
	for i := range 3 {
		h := &scripted{}
		s.do(t, s.run(), h)
		if i == 0 {
			first = h.recorded()
		} else if again := h.recorded(); !slices.Equal(first, again) {
			t.Fatalf("a repeated run made the calls\n%s\nwant the calls of the first run\n%s",
				strings.Join(again, "\n"), strings.Join(first, "\n"))
		}
	}
}

// outOfOrder replies to the first of two tool calls after the second. A loop that makes one call at a
// time gets its reply after a second.
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
		t.Fatalf("the run ended with %v before it was cancelled", err)
	}
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a cancelled run succeeded, want an error")
		}
	case <-time.After(cancelTime):
		t.Errorf("the run did not end within %s after its cancellation during a call", cancelTime)
	}
}

// hostFails checks that a run ends with the error of the host if a call fails.
func (s *agentChecks) hostFails(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	_, err := s.client.Run(ctx, s.run(), &scripted{before: func(context.Context, *agent.Call) error {
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: "plugintest rejects this call", Retryable: true}
	}})
	switch code := codeOf(err); {
	case ctx.Err() != nil:
		t.Errorf("the run did not end within %s", callTimeout)
	case code == sdk.CodeInternal || code == sdk.CodePluginCrashed:
		t.Errorf("the run ended with %v, want the error of the host with code %s", err, sdk.CodeUnavailable)
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

// agentKilled checks that a run fails with ErrPluginCrashed if the process is killed.
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
		t.Errorf("the run of a killed plugin ended with %v, want ErrPluginCrashed", err)
	}
}
