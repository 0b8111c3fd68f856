package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// agentChecks contains the state of the checks of an agent type.
type agentChecks struct {
	command Command
	plugin  *Plugin
	client  *agent.Client
	config  json.RawMessage
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
	s := &agentChecks{command: c, config: config}
	s.start(t)
	t.Run("Base", func(t *testing.T) { base(t, agent.Kind, c, s.plugin) })
	subtests(t, agent.Kind, []subtest{
		{"Schema", s.schema},
		{"Answer", s.answer},
		{"ToolCalls", s.toolCalls},
		{"Replay", s.replay},
		{"OutOfOrder", s.outOfOrder},
		{"Cancelled", s.cancelled},
		{"HostFails", s.hostFails},
		{"Large", s.large},
		{"Parallel", s.parallel},
		{"Leaks", s.leaks},
		{"Killed", s.killed},
	})
}

// start starts the plugin for the checks.
func (s *agentChecks) start(t *testing.T) {
	t.Helper()
	s.plugin = Start(t, agent.Kind, s.command)
	s.client = agent.NewClient(s.plugin.Conn)
	s.client.Grace = callTimeout // the Cancelled check must notice a run that does not end
}

// alone returns checks with a plugin of their own.
func (s *agentChecks) alone(t *testing.T) *agentChecks {
	t.Helper()
	other := *s
	other.start(t)
	return &other
}

func (s *agentChecks) schema(t *testing.T) {
	schema, err := s.client.Schema(t.Context())
	if err != nil {
		t.Fatalf("Schema: %v", err)
	}
	if err := compileSchema(schema); err != nil {
		t.Errorf("the schema is not a JSON Schema of an object that the server can use: %v", err)
	}
}

// run returns the same run each time.
func (s *agentChecks) run() *agent.Run {
	return &agent.Run{
		ID: "run-plugintest", AgentID: "agent-plugintest", SessionID: "session-plugintest", Config: s.config,
		History: []sdk.Message{sdk.Text(sdk.RoleUser, "Hello."), sdk.Text(sdk.RoleAssistant, "Good day.")},
		Input:   sdk.Text(sdk.RoleUser, "Add 2 and 3, and 4 and 5. "+unicodeText),
		Time:    time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seed: 42,
	}
}

// do executes a run and checks that it succeeds.
func (s *agentChecks) do(t *testing.T, run *agent.Run, h *scripted) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	message, err := s.client.Run(ctx, run, h)
	if err != nil {
		t.Errorf("Run: %v", err)
	}
	if message != nil && strings.ContainsRune(message.Text(), utf8.RuneError) {
		t.Errorf("the answer %q contains the replacement character U+FFFD: a character was split", message.Text())
	}
}

func (s *agentChecks) answer(t *testing.T) {
	h := &scripted{}
	s.do(t, s.run(), h)
	if len(h.recorded()) == 0 {
		t.Error("the run made no call, want at least one")
	}
	for _, prompt := range h.prompts {
		for _, m := range prompt {
			if strings.ContainsRune(m.Text(), utf8.RuneError) {
				t.Errorf("the model received the text %q, which contains the replacement character U+FFFD: a character was split",
					m.Text())
			}
		}
	}
}

// toolCalls checks that the model receives the result of each of its tool calls.
func (s *agentChecks) toolCalls(t *testing.T) {
	h := &scripted{}
	s.do(t, s.run(), h)
	h.checkToolResults(t)
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
	h := &scripted{before: func(_ context.Context, call *agent.Call) error {
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
	}}
	s.do(t, s.run(), h)
	h.checkToolResults(t)
}

func (s *agentChecks) cancelled(t *testing.T) {
	s = s.alone(t)
	s.cancelRun(t)
	s.plugin.checkIdle(t, cancelTime, "the cancellation of a run")
}

// cancelRun cancels a run during its first call.
func (s *agentChecks) cancelRun(t *testing.T) {
	t.Helper()
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
	case <-time.After(callTimeout):
		t.Fatalf("the run made no call within %s", callTimeout)
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

// leaks checks what runs leave behind.
func (s *agentChecks) leaks(t *testing.T) {
	s = s.alone(t)
	s.plugin.checkLeaks(t, "runs", func() {
		s.do(t, s.run(), &scripted{})
		s.cancelRun(t)
	})
}

// killed checks that a run fails with ErrPluginCrashed if the process is killed.
func (s *agentChecks) killed(t *testing.T) {
	s = s.alone(t)
	s.client.Grace = 2 * time.Second
	var once sync.Once
	_, err := s.client.Run(t.Context(), s.run(), &scripted{before: func(ctx context.Context, _ *agent.Call) error {
		once.Do(s.plugin.Kill)
		<-ctx.Done()
		return ctx.Err()
	}})
	if !errors.Is(err, agent.ErrPluginCrashed) {
		t.Errorf("the run of a killed plugin ended with %v, want ErrPluginCrashed", err)
	}
}
