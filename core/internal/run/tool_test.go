package run_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// fakeTools is a Toolbox that counts its calls. If held is not nil, a call sends to it and then waits until
// its context ends.
type fakeTools struct {
	mu    sync.Mutex
	calls map[string]int
	held  chan struct{}
}

func (b *fakeTools) Tools(context.Context, *core.Run) ([]sdk.Tool, error) {
	return []sdk.Tool{{Name: "read", ReadOnly: true}, {Name: "set", Idempotent: true}, {Name: "pay"}}, nil
}

func (b *fakeTools) Call(ctx context.Context, _ *core.Run, _ uint64, call sdk.ToolCall) (*sdk.ToolResult, error) {
	b.mu.Lock()
	b.calls[call.Name]++
	held := b.held
	b.mu.Unlock()
	if held != nil {
		held <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if call.Name == "broken" {
		return nil, fmt.Errorf("no such thing")
	}
	return &sdk.ToolResult{Parts: []sdk.Part{{Text: call.Name + " done"}}}, nil
}

// useTool lists the tools, calls the one that the user names, and answers with its result.
func useTool(_ context.Context, r *agent.Run, call callFunc) (*sdk.Message, error) {
	if _, err := call(&agent.Call{ListTools: true}); err != nil {
		return nil, err
	}
	result, err := call(&agent.Call{CallTool: &sdk.ToolCall{ID: "1", Name: r.Input.Text(), Arguments: "{}"}})
	if err != nil {
		return nil, err
	}
	m := sdk.Text(sdk.RoleAssistant, fmt.Sprintf("%v %s", result.ToolResult.IsError, result.ToolResult.Parts[0].Text))
	return &m, nil
}

func TestCallTool(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.toolbox = &fakeTools{calls: map[string]int{}}
	env.plugins.set(loop(useTool), nil)
	s := env.start()
	r := s.mustTurn("s1", "read")
	equal(t, s.watch(r), "start\ntool_call read\ntool_result read\ntoken false read done\nend completed 0")
	equal(t, s.wait(r), "false read done")
	equal(t, s.wait(s.mustTurn("s1", "broken")), "true The tool failed: Internal error. See the server log for details.")
}

func TestCallTool_interruptedByACrash(t *testing.T) {
	t.Parallel()
	const unknown = "true The outcome of this call is unknown, because the server stopped during the call. " +
		"It may have taken effect. Check before you call the tool again."
	for tool, want := range map[string]struct {
		answer string
		calls  int
	}{
		"read": {"false read done", 2},
		"set":  {"false set done", 2},
		"pay":  {unknown, 1},
	} {
		t.Run(tool, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			held := make(chan struct{})
			box := &fakeTools{calls: map[string]int{}, held: held}
			env.toolbox = box
			env.plugins.set(loop(useTool), nil)
			first := env.start()
			r := first.mustTurn("s1", tool)
			<-held
			first.crash()
			box.mu.Lock()
			box.held = nil
			box.mu.Unlock()
			second := env.start()
			equal(t, second.wait(r), want.answer)
			equal(t, env.history(), "user: "+tool+"\nassistant: "+want.answer)
			if box.calls[tool] != want.calls {
				t.Errorf("got %d calls of %s, want %d", box.calls[tool], tool, want.calls)
			}
		})
	}
}
