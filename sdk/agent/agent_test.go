package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/internal/leaktest"
	"github.com/agentarea/agentarea/sdk/internal/loopback"
	"github.com/agentarea/agentarea/sdk/plugin"
	agentv1 "github.com/agentarea/agentarea/sdk/proto/agent/v1"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// loop is an agent type whose Run calls the function.
type loop func(ctx context.Context, run *agent.Run, host agent.Host) (*sdk.Message, error)

func (loop) Schema() json.RawMessage { return json.RawMessage(`{"type":"object","title":"t"}`) }

func (l loop) Run(ctx context.Context, run *agent.Run, host agent.Host) (*sdk.Message, error) {
	return l(ctx, run, host)
}

// handler is a Handler whose Handle calls the function.
type handler func(ctx context.Context, call *agent.Call) (*agent.Result, error)

func (h handler) Handle(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	return h(ctx, call)
}

func reach(t testing.TB, l loop) *agent.Client {
	t.Helper()
	return agent.NewClient(loopback.Connect(t, func(s *grpc.Server) { agent.Register(s, l) }))
}

func code(err error) sdk.ErrorCode {
	var e *sdk.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func say(text string) *sdk.Message {
	m := sdk.Text(sdk.RoleAssistant, text)
	return &m
}

func toolResult(text string) *agent.Result {
	return &agent.Result{ToolResult: &sdk.ToolResult{Parts: []sdk.Part{{Text: text}}}}
}

var noCalls = handler(func(context.Context, *agent.Call) (*agent.Result, error) {
	return nil, errors.New("unexpected call")
})

func TestClient_Schema(t *testing.T) {
	t.Parallel()
	if s, err := reach(t, nil).Schema(t.Context()); err != nil || string(s) != `{"type":"object","title":"t"}` {
		t.Errorf("Schema() = %s, %v, want the schema of the type", s, err)
	}
}

// The input of a run, its calls and its results arrive unchanged.
func TestRun_roundTrip(t *testing.T) {
	t.Parallel()
	heat, most, top := 0.0, int64(9), 0.5
	want := &agent.Run{
		ID: "run-1", AgentID: "agent-1", SessionID: "s", Config: json.RawMessage(`{"a":1}`),
		History: []sdk.Message{sdk.Text(sdk.RoleUser, "hi"), sdk.Text(sdk.RoleAssistant, "hello")},
		Input:   sdk.Text(sdk.RoleUser, "well?"),
		Time:    time.UnixMilli(1_700_000_000_123).UTC(), Seed: 1<<64 - 1,
	}
	ask := agent.Completion{
		Model: "m", Messages: []sdk.Message{sdk.Text(sdk.RoleUser, "q")}, Tools: []sdk.Tool{{Name: "t"}},
		Temperature: &heat, MaxTokens: &most, TopP: &top, Stop: []string{"END"}, Forward: true,
	}
	answer := &agent.Answer{
		Message: *say("a"), FinishReason: "stop", Model: "m-1", Usage: sdk.Usage{InputTokens: 1, OutputTokens: 2},
	}
	tools := []sdk.Tool{{Name: "t", Description: "d", Parameters: "{}", ReadOnly: true}}
	call := sdk.ToolCall{ID: "c", Name: "t", Arguments: `{"x":1}`}
	result := sdk.ToolResult{Parts: []sdk.Part{{Text: "r"}}, IsError: true}

	c := reach(t, func(ctx context.Context, run *agent.Run, host agent.Host) (*sdk.Message, error) {
		if !reflect.DeepEqual(run, want) {
			t.Errorf("Run received %+v, want %+v", run, want)
		}
		if plugin.RunID(ctx) != "run-1" {
			t.Errorf("RunID(ctx) = %q, want %q", plugin.RunID(ctx), "run-1")
		}
		if got, err := host.ListTools(ctx); err != nil || !reflect.DeepEqual(got, tools) {
			t.Errorf("ListTools() = %+v, %v, want %+v", got, err, tools)
		}
		if got, err := host.Complete(ctx, &ask); err != nil || !reflect.DeepEqual(got, answer) {
			t.Errorf("Complete() = %+v, %v, want %+v", got, err, answer)
		}
		if got, err := host.CallTools(ctx, []sdk.ToolCall{call}); err != nil ||
			!reflect.DeepEqual(got, []sdk.ToolResult{result}) {
			t.Errorf("CallTools() = %+v, %v, want %+v", got, err, result)
		}
		if got, err := host.CallTools(ctx, nil); err != nil || len(got) != 0 {
			t.Errorf("CallTools(nil) = %+v, %v, want no results", got, err)
		}
		return say("done"), nil
	})
	got, err := c.Run(t.Context(), want, handler(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		switch c.Number {
		case 1:
			return &agent.Result{Tools: tools}, nil
		case 2:
			if !reflect.DeepEqual(c.Complete, &ask) {
				t.Errorf("the handler received %+v, want %+v", c.Complete, ask)
			}
			return &agent.Result{Answer: answer}, nil
		default:
			if !reflect.DeepEqual(c.CallTool, &call) {
				t.Errorf("the handler received %+v, want %+v", c.CallTool, call)
			}
			return &agent.Result{ToolResult: &result}, nil
		}
	}))
	if err != nil || got == nil || got.Text() != "done" {
		t.Errorf("Run() = %+v, %v, want the answer %q", got, err, "done")
	}
}

// The host replies in the reverse order of the calls.
func TestCallTools_repliesOutOfOrder(t *testing.T) {
	t.Parallel()
	const n = 10
	cc := loopback.Connect(t, func(s *grpc.Server) {
		agent.Register(s, loop(func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
			calls := make([]sdk.ToolCall, n)
			for i := range calls {
				calls[i].ID = fmt.Sprint(i + 1)
			}
			results, err := host.CallTools(ctx, calls)
			if err != nil {
				return nil, err
			}
			var b strings.Builder
			for _, r := range results {
				b.WriteString(r.Parts[0].Text + " ")
			}
			return say(b.String()), nil
		}))
	})
	stream, err := agentv1.NewAgentServiceClient(cc).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&agentv1.RunRequest{Message: &agentv1.RunRequest_Start{Start: &agentv1.Start{}}}); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(n) {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if c := m.GetCall(); c.GetNumber() != i+1 || c.GetCallTool().GetCall().GetId() != fmt.Sprint(i+1) {
			t.Errorf("got the call %v, want call %d", c, i+1)
		}
	}
	for i := range uint64(n) {
		reply := &agentv1.Reply{Number: n - i, Result: &agentv1.Reply_ToolResult{ToolResult: &agentv1.ToolResult{
			Parts: []*basev1.Part{{Content: &basev1.Part_Text{Text: fmt.Sprint(n - i)}}},
		}}}
		if err := stream.Send(&agentv1.RunRequest{Message: &agentv1.RunRequest_Reply{Reply: reply}}); err != nil {
			t.Fatal(err)
		}
	}
	m, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if got := m.GetFinish().GetMessage().GetParts()[0].GetText(); got != "1 2 3 4 5 6 7 8 9 10 " {
		t.Errorf("got the results %q, want them in the order of the calls", got)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("got the error %v after the finish, want io.EOF", err)
	}
}

func TestRun_moreCallsThanWorkers(t *testing.T) {
	t.Parallel()
	const n = 300
	c := reach(t, func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if results, err := host.CallTools(ctx, make([]sdk.ToolCall, n)); err != nil || len(results) != n {
					t.Errorf("CallTools() = %d results, %v, want %d", len(results), err, n)
				}
			})
		}
		wg.Wait()
		return say(""), nil
	})
	var now, most atomic.Int64
	full := make(chan struct{})
	_, err := c.Run(t.Context(), &agent.Run{}, handler(func(context.Context, *agent.Call) (*agent.Result, error) {
		here := now.Add(1)
		defer now.Add(-1)
		if here == 64 && most.CompareAndSwap(0, 64) {
			close(full)
		}
		if here > 64 {
			most.Store(here)
		}
		<-full
		return toolResult(""), nil
	}))
	if err != nil || most.Load() != 64 {
		t.Errorf("Run() had %d concurrent calls, %v, want 64", most.Load(), err)
	}
}

func TestComplete_deltas(t *testing.T) {
	t.Parallel()
	c := reach(t, func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
		var got []string
		_, err := host.Complete(ctx, &agent.Completion{OnDelta: func(text string) {
			// A call from within OnDelta must not deadlock.
			if _, err := host.ListTools(ctx); err != nil {
				t.Error(err)
			}
			got = append(got, text)
		}})
		if err != nil {
			return nil, err
		}
		_, err = host.Complete(ctx, &agent.Completion{})
		return say(strings.Join(got, "|")), err
	})
	m, err := c.Run(t.Context(), &agent.Run{}, handler(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		switch {
		case c.ListTools:
			return &agent.Result{}, nil
		case c.Number == 1:
			for _, text := range []string{"a", "b", "c"} {
				c.Complete.OnDelta(text)
			}
		case c.Complete.OnDelta != nil:
			t.Error("got deltas for a completion without OnDelta")
		}
		return &agent.Result{Answer: &agent.Answer{}}, nil
	}))
	if err != nil || m.Text() != "a|b|c" {
		t.Errorf("Run() = %+v, %v, want the answer %q", m, err, "a|b|c")
	}
}

func TestRun_result(t *testing.T) {
	t.Parallel()
	complete := func(ctx context.Context, host agent.Host, final bool) error {
		_, err := host.Complete(ctx, &agent.Completion{Final: final})
		return err
	}
	rated := &sdk.Error{
		Code: sdk.CodeRateLimited, Message: "slow", Retryable: true, RetryAfter: 1500 * time.Millisecond, ProviderStatus: 429,
	}
	for name, test := range map[string]struct {
		loop   loop
		answer agent.Answer
		fail   error
		text   string // of the answer; "" for no answer
		err    *sdk.Error
	}{
		"message": {loop: func(context.Context, *agent.Run, agent.Host) (*sdk.Message, error) { return say("m"), nil }, text: "m"},
		"final": {loop: func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
			return nil, complete(ctx, host, true)
		}, answer: agent.Answer{Message: *say("a")}},
		"not final": {loop: func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
			return nil, complete(ctx, host, false)
		}, err: &sdk.Error{Code: sdk.CodeInternal, Message: "the agent type ended the run without an answer"}},
		"final with a tool call": {
			loop: func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
				return nil, complete(ctx, host, true)
			}, answer: agent.Answer{Message: sdk.Message{ToolCalls: []sdk.ToolCall{{}}}},
			err: &sdk.Error{Code: sdk.CodeInternal, Message: "the agent type ended the run without an answer"},
		},
		"error": {loop: func(context.Context, *agent.Run, agent.Host) (*sdk.Message, error) {
			return nil, fmt.Errorf("loop: %w", rated)
		}, err: rated},
		"error of the host": {loop: func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
			return nil, complete(ctx, host, true)
		}, fail: rated, err: rated},
		"another error of the host": {loop: func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
			return nil, complete(ctx, host, true)
		}, fail: errors.New("oh"), err: &sdk.Error{Code: sdk.CodeInternal, Message: "oh"}},
		"panic": {
			loop: func(context.Context, *agent.Run, agent.Host) (*sdk.Message, error) { panic("secret") },
			err:  &sdk.Error{Code: sdk.CodeInternal, Message: "the plugin panicked; see the log for the stack trace"},
		},
		"panic in OnDelta": {loop: func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
			_, err := host.Complete(ctx, &agent.Completion{OnDelta: func(string) { panic("secret") }})
			return nil, err
		}, err: &sdk.Error{Code: sdk.CodeInternal, Message: "the plugin panicked; see the log for the stack trace"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := reach(t, test.loop).Run(t.Context(), &agent.Run{},
				handler(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
					if c.Complete.OnDelta != nil {
						c.Complete.OnDelta("x")
					}
					return &agent.Result{Answer: &test.answer}, test.fail
				}))
			if test.err != nil {
				if !reflect.DeepEqual(err, error(test.err)) {
					t.Errorf("Run() error = %+v, want %+v", err, test.err)
				}
				return
			}
			if err != nil || (m == nil) != (test.text == "") || m != nil && m.Text() != test.text {
				t.Errorf("Run() = %+v, %v, want the answer %q", m, err, test.text)
			}
		})
	}
}

// CallTools returns the error of the first failed call in the order of the calls, after all calls
// have ended. A repeated run must get the same error.
func TestCallTools_firstErrorInOrder(t *testing.T) {
	t.Parallel()
	c := reach(t, func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
		_, err := host.CallTools(ctx, make([]sdk.ToolCall, 3))
		return nil, err
	})
	third := make(chan struct{})
	_, err := c.Run(t.Context(), &agent.Run{}, handler(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		switch c.Number {
		case 1:
			<-third
			return toolResult(""), nil
		case 2:
			<-third
			return nil, &sdk.Error{Code: sdk.CodeNotFound}
		}
		close(third)
		return nil, &sdk.Error{Code: sdk.CodeTimeout}
	}))
	if code(err) != sdk.CodeNotFound {
		t.Errorf("Run() error = %v, want code %s", err, sdk.CodeNotFound)
	}
}

func TestListTools_ownTimeout(t *testing.T) {
	t.Parallel()
	late := make(chan struct{})
	c := reach(t, func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if _, err := host.ListTools(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		close(late)
		_, err := host.CallTools(ctx, make([]sdk.ToolCall, 1))
		return say("on"), err
	})
	m, err := c.Run(t.Context(), &agent.Run{}, handler(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		if c.ListTools {
			<-late
			return &agent.Result{}, nil
		}
		return toolResult(""), nil
	}))
	if err != nil || m.Text() != "on" {
		t.Errorf("Run() = %+v, %v, want the answer %q", m, err, "on")
	}
}

func TestListTools_afterTheRun(t *testing.T) {
	t.Parallel()
	var host agent.Host
	c := reach(t, func(_ context.Context, _ *agent.Run, h agent.Host) (*sdk.Message, error) {
		host = h
		return say(""), nil
	})
	if _, err := c.Run(t.Context(), &agent.Run{}, noCalls); err != nil {
		t.Fatal(err)
	}
	if _, err := host.ListTools(t.Context()); err == nil {
		t.Error("ListTools() after the end of the run succeeded, want an error")
	}
}

func TestRun_handlerPanics(t *testing.T) {
	t.Parallel()
	c := reach(t, func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
		_, err := host.ListTools(ctx)
		return nil, err
	})
	_, err := c.Run(t.Context(), &agent.Run{},
		handler(func(context.Context, *agent.Call) (*agent.Result, error) { panic("oh") }))
	if code(err) != sdk.CodeInternal {
		t.Errorf("Run() error = %v, want code %s", err, sdk.CodeInternal)
	}
}

func TestRun_handlerReturnsWrongResult(t *testing.T) {
	t.Parallel()
	c := reach(t, func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
		_, err := host.Complete(ctx, &agent.Completion{})
		return nil, err
	})
	for _, r := range []*agent.Result{nil, {}, toolResult("")} {
		_, err := c.Run(t.Context(), &agent.Run{},
			handler(func(context.Context, *agent.Call) (*agent.Result, error) { return r, nil }))
		if code(err) != sdk.CodeInternal {
			t.Errorf("Run() with the result %+v: error = %v, want code %s", r, err, sdk.CodeInternal)
		}
	}
}

func TestRun_messageSizes(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 10<<20)
	c := reach(t, func(ctx context.Context, run *agent.Run, host agent.Host) (*sdk.Message, error) {
		// The rejected call gets no number, so the next call is the first.
		if _, err := host.CallTools(ctx,
			[]sdk.ToolCall{{}, {Arguments: strings.Repeat("x", 65<<20)}}); code(err) != sdk.CodeInvalidRequest {
			t.Errorf("CallTools() with 65 MiB: error = %v, want code %s", err, sdk.CodeInvalidRequest)
		}
		if _, err := host.ListTools(ctx); code(err) != sdk.CodeInvalidRequest {
			t.Errorf("ListTools() with a reply of 65 MiB: error = %v, want code %s", err, sdk.CodeInvalidRequest)
		}
		a, err := host.Complete(ctx, &agent.Completion{Messages: []sdk.Message{run.Input}})
		if err != nil {
			return nil, err
		}
		return &a.Message, nil
	})
	m, err := c.Run(t.Context(), &agent.Run{Input: sdk.Text(sdk.RoleUser, big)},
		handler(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
			if c.ListTools {
				return &agent.Result{Tools: []sdk.Tool{{Name: strings.Repeat("x", 65<<20)}}}, nil
			}
			return &agent.Result{Answer: &agent.Answer{Message: c.Complete.Messages[0]}}, nil
		}))
	if err != nil || m.Text() != big {
		t.Errorf("Run() with 10 MiB: error = %v, want the input as the answer", err)
	}
	_, err = c.Run(t.Context(), &agent.Run{Input: sdk.Text(sdk.RoleUser, strings.Repeat("x", 65<<20))}, noCalls)
	if code(err) != sdk.CodeInvalidRequest {
		t.Errorf("Run() with an input of 65 MiB: error = %v, want code %s", err, sdk.CodeInvalidRequest)
	}
}

func TestRun_concurrentRuns(t *testing.T) {
	t.Parallel()
	c := reach(t, func(ctx context.Context, run *agent.Run, host agent.Host) (*sdk.Message, error) {
		results, err := host.CallTools(ctx, []sdk.ToolCall{{ID: run.ID}, {ID: run.ID}})
		if err != nil {
			return nil, err
		}
		return say(results[0].Parts[0].Text + results[1].Parts[0].Text), nil
	})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			id := fmt.Sprint(i)
			m, err := c.Run(t.Context(), &agent.Run{ID: id},
				handler(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
					return toolResult(c.CallTool.ID), nil
				}))
			if err != nil || m.Text() != id+id {
				t.Errorf("Run(%s) = %+v, %v, want the answer %q", id, m, err, id+id)
			}
		})
	}
	wg.Wait()
}

func TestRun_numbersFollowTheOrderOfCalls(t *testing.T) {
	t.Parallel()
	c := reach(t, func(ctx context.Context, _ *agent.Run, host agent.Host) (*sdk.Message, error) {
		for range 3 {
			if _, err := host.ListTools(ctx); err != nil {
				return nil, err
			}
			if _, err := host.CallTools(ctx, make([]sdk.ToolCall, 2)); err != nil {
				return nil, err
			}
		}
		return say(""), nil
	})
	var mu sync.Mutex
	var lists []uint64
	_, err := c.Run(t.Context(), &agent.Run{}, handler(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		if c.ListTools {
			mu.Lock()
			defer mu.Unlock()
			lists = append(lists, c.Number)
			return &agent.Result{}, nil
		}
		return toolResult(""), nil
	}))
	if err != nil || !slices.Equal(lists, []uint64{1, 4, 7}) {
		t.Errorf("the numbers of ListTools = %v, error %v, want [1 4 7]", lists, err)
	}
}
