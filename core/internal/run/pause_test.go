package run_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run"
	"github.com/agentarea/agentarea/sdk"
)

// pausable is the store of a server that a test pauses: the server renews no lease, and a tool call whose
// start was recorded does not begin.
type pausable struct {
	core.RunStore
	// holdTools makes a pause hold tool calls between the record of their start and the call itself.
	holdTools bool

	mu     sync.Mutex
	resume chan struct{} // nil unless the server is paused
	// recorded is closed when the start of a tool call was recorded during the pause.
	recorded chan struct{}
}

func (p *pausable) pause() (resume func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	resumed := make(chan struct{})
	p.resume, p.recorded = resumed, make(chan struct{})
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.resume = nil
		close(resumed)
	}
}

// paused returns a channel that is closed when the pause ends, or nil if there is no pause.
func (p *pausable) paused() (resume, recorded chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.resume, p.recorded
}

func (p *pausable) RenewLease(ctx context.Context, owner string, until time.Time) error {
	if resume, _ := p.paused(); resume != nil {
		select {
		case <-resume:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return p.RunStore.RenewLease(ctx, owner, until)
}

func (p *pausable) RecordCall(ctx context.Context, r *core.Run, c *core.Call, rows []core.EventRow) error {
	err := p.RunStore.RecordCall(ctx, r, c, rows)
	resume, recorded := p.paused()
	if resume != nil && p.holdTools && err == nil && c.Kind == core.CallTool && !c.Done {
		close(recorded)
		select {
		case <-resume:
		case <-ctx.Done():
		}
	}
	return err
}

// startPausable starts a server whose lease is short, and which a test can pause.
func (env *testEnv) startPausable(holdTools bool) (*server, *pausable) {
	env.t.Helper()
	store := &pausable{RunStore: env.db, holdTools: holdTools}
	return env.start(func(o *run.Options) { o.Runs, o.Times.Lease = store, 100*time.Millisecond }), store
}

// endlessTools is a Toolbox whose calls last until their context ends, and whose first call closes called.
type endlessTools struct {
	fakeTools
	called, cancelled chan struct{}
}

func (b *endlessTools) Call(ctx context.Context, _ *core.Run, _ uint64, _ sdk.ToolCall) (*sdk.ToolResult, error) {
	close(b.called)
	<-ctx.Done()
	close(b.cancelled)
	return nil, ctx.Err()
}

// A server that resumes after a pause abandons the runs that another server has taken over at once. It does not
// wait until its own tools and models answer.
func TestPause_runThatWasTakenOverIsAbandoned(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	box := &endlessTools{called: make(chan struct{}), cancelled: make(chan struct{})}
	env.toolbox = box
	env.plugins.set(loop(useTool), nil)
	paused, store := env.startPausable(false)
	r := paused.mustTurn("s1", "pay")
	<-box.called
	resume := store.pause()

	other := env.start()
	const want = "true The outcome of this call is unknown, because the server stopped during the call. " +
		"It may have taken effect. Check before you call the tool again."
	equal(t, other.wait(r), want)
	resume()
	<-box.cancelled
	equal(t, paused.wait(r), want)
	equal(t, env.history(), "user: pay\nassistant: "+want)
	if got := env.stored(r); got.Attempt != 2 || got.Status != core.RunCompleted {
		t.Errorf("attempt %d, status %s, want attempt 2 to be completed", got.Attempt, got.Status)
	}
}

// A server that is paused between the record of a tool call and the call itself does not call the tool when it
// resumes: another server has told the model that the outcome is unknown, or has called the tool itself.
func TestPause_beforeAToolCall(t *testing.T) {
	t.Parallel()
	for tool, want := range map[string]int{"read": 1, "set": 1, "pay": 0} {
		t.Run(tool, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			box := &fakeTools{calls: map[string]int{}}
			env.toolbox = box
			env.plugins.set(loop(useTool), nil)
			paused, store := env.startPausable(true)
			resume := store.pause()
			r := paused.mustTurn("s1", tool)
			_, recorded := store.paused()
			<-recorded
			other := env.start()
			answer := other.wait(r)
			resume()
			equal(t, paused.wait(r), answer)
			paused.crash() // waits for the abandoned run
			box.mu.Lock()
			defer box.mu.Unlock()
			if got := box.calls[tool]; got != want {
				t.Errorf("got %d calls of %s, want %d", got, tool, want)
			}
		})
	}
}

// A server that is paused and resumes before another one takes over its runs continues them.
func TestPause_withoutATakeover(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	box := &fakeTools{calls: map[string]int{}}
	env.toolbox = box
	env.plugins.set(loop(useTool), nil)
	s, store := env.startPausable(true)
	resume := store.pause()
	r := s.mustTurn("s1", "pay")
	_, recorded := store.paused()
	<-recorded
	time.Sleep(200 * time.Millisecond) // until the lease has expired
	resume()
	equal(t, s.wait(r), "false pay done")
	if got := env.stored(r); got.Attempt != 1 {
		t.Errorf("attempt = %d, want 1", got.Attempt)
	}
}
