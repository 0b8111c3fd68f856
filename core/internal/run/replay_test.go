package run_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/dbtest"
)

// twoSteps asks the model twice. The second answer is the answer of the run.
func twoSteps(_ context.Context, r *agent.Run, call callFunc) (*sdk.Message, error) {
	plan, err := call(complete("plan "+r.Input.Text(), false))
	if err != nil {
		return nil, err
	}
	_, err = call(complete("do "+plan.Answer.Message.Text(), true))
	return nil, err
}

// countingModel answers each request with its text in capitals, as two tokens, and counts the
// requests. hold, if set, is called between the tokens.
type countingModel struct {
	mu       sync.Mutex
	requests map[string]int
	hold     func(ctx context.Context, text string) error
}

func (c *countingModel) ListModels(context.Context) ([]llm.Model, error) { return nil, nil }

func (c *countingModel) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	text := req.Messages[0].Text()
	c.mu.Lock()
	if c.requests == nil {
		c.requests = map[string]int{}
	}
	c.requests[text]++
	hold := c.hold
	c.mu.Unlock()
	first, rest, _ := strings.Cut(strings.ToUpper(text), " ")
	if err := out.Send(llm.Delta{Text: first}); err != nil {
		return nil, err
	}
	if hold != nil {
		if err := hold(ctx, text); err != nil {
			return nil, err
		}
	}
	if err := out.Send(llm.Delta{Text: " " + rest}); err != nil {
		return nil, err
	}
	return &llm.Finish{Reason: llm.FinishStop, Usage: sdk.Usage{OutputTokens: 1}}, nil
}

func (c *countingModel) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hold = nil
}

// block blocks the second step until the context ends.
func block(ctx context.Context, text string) error {
	if !strings.HasPrefix(text, "do") {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

const twoStepsCut = `start
token PLAN
token  HI
usage
restart attempt 2 drop after 4
token DO
token  PLAN HI
end completed 2`

func TestReplay_afterServerCrash(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	model := &countingModel{hold: block}
	env.plugins.set(loop(twoSteps), model)
	first := env.start()
	r := first.mustTurn("s1", "hi")
	first.watchUntil(r, "token DO")
	first.crash()
	if got := env.stored(r); got.Status != core.RunRunning {
		t.Fatalf("status after the crash = %s, want %s", got.Status, core.RunRunning)
	}

	model.release()
	second := env.start()
	equal(t, second.watch(r), twoStepsCut)
	equal(t, second.wait(r), "DO PLAN HI")
	equal(t, env.history(), "user: hi\nassistant: DO PLAN HI")
	// The recorded completion is replayed. The interrupted one is repeated.
	if fmt.Sprint(model.requests) != "map[do PLAN HI:2 plan hi:1]" {
		t.Errorf("requests = %v, want 2 of the second step and 1 of the first", model.requests)
	}
	if got := env.stored(r); got.Attempt != 2 || got.Usage.OutputTokens != 2 {
		t.Errorf("attempt = %d, output tokens = %d, want 2 and 2", got.Attempt, got.Usage.OutputTokens)
	}
}

// crashingPlugin is an agent plugin that crashes once, when its channel die is closed.
type crashingPlugin struct {
	loop
	die  chan struct{}
	dead atomic.Bool
}

func (d *crashingPlugin) Run(ctx context.Context, r *agent.Run, h agent.Handler) (*sdk.Message, error) {
	if d.dead.Load() {
		return d.loop.Run(ctx, r, h)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = d.loop.Run(ctx, r, h)
	}()
	<-d.die
	d.dead.Store(true)
	cancel()
	<-done
	return nil, fmt.Errorf("%w: %w", agent.ErrPluginCrashed,
		&sdk.Error{Code: sdk.CodePluginCrashed, Message: "agent chat died", Retryable: true})
}

func TestReplay_afterPluginCrash(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	model := &countingModel{hold: block}
	plugin := &crashingPlugin{loop: twoSteps, die: make(chan struct{})}
	env.plugins.set(plugin, model)
	s := env.start()
	r := s.mustTurn("s1", "hi")
	s.watchUntil(r, "token DO")
	model.release()
	close(plugin.die)
	equal(t, s.watch(r), twoStepsCut)
	equal(t, env.history(), "user: hi\nassistant: DO PLAN HI")
	if fmt.Sprint(model.requests) != "map[do PLAN HI:2 plan hi:1]" {
		t.Errorf("requests = %v, want 2 of the second step and 1 of the first", model.requests)
	}
}

func TestReplay_pluginThatAlwaysCrashesFailsTheRun(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	var starts atomic.Int32
	env.plugins.set(loop(func(context.Context, *agent.Run, callFunc) (*sdk.Message, error) {
		starts.Add(1)
		return nil, fmt.Errorf("%w: %w", agent.ErrPluginCrashed,
			&sdk.Error{Code: sdk.CodePluginCrashed, Message: "agent chat died"})
	}), nil)
	s := env.start()
	r := s.mustTurn("s1", "hi")
	equal(t, s.watch(r), "start\nerror SERVICE_UNAVAILABLE agent chat died")
	if starts.Load() != 5 {
		t.Errorf("got %d starts, want 5", starts.Load())
	}
}

func TestReplay_tooManyServerCrashesInterruptTheRun(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.plugins.set(loop(chat), provider(stall))
	s := env.start()
	r := s.mustTurn("s1", "hi")
	for range 4 {
		s.watchUntil(r, "token Hel")
		s.crash()
		s = env.start()
	}
	s.watchUntil(r, "restart attempt 5")
	s.crash()
	s = env.start()
	if got := s.watch(r); !strings.HasSuffix(got,
		"error UPSTREAM_ERROR The run was interrupted by crashes too often and is not restarted.") {
		t.Errorf("events end with\n%s", got)
	}
	if got := env.stored(r); got.Status != core.RunInterrupted {
		t.Errorf("status = %s, want %s", got.Status, core.RunInterrupted)
	}
}

func TestReplay_failsWhenACallDiffers(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	model := &countingModel{hold: block}
	var starts atomic.Int32
	env.plugins.set(loop(func(_ context.Context, _ *agent.Run, call callFunc) (*sdk.Message, error) {
		if _, err := call(complete(fmt.Sprintf("plan %d", starts.Add(1)), false)); err != nil {
			return nil, err
		}
		_, err := call(complete("do", true))
		return nil, err
	}), model)
	first := env.start()
	r := first.mustTurn("s1", "hi")
	first.watchUntil(r, "token DO")
	first.crash()
	model.release()
	second := env.start()
	got := second.watch(r)
	if !strings.Contains(got, "error UPSTREAM_ERROR Host call 1 differs from the recorded call (complete).") {
		t.Errorf("events end with\n%s", got)
	}
	if stored := env.stored(r); stored.Status != core.RunFailed || stored.Error.Code != sdk.CodeNondeterministic {
		t.Errorf("run = %s with error %v, want %s with %s",
			stored.Status, stored.Error, core.RunFailed, sdk.CodeNondeterministic)
	}
}

func TestCancel_requestedBeforeACrash(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.plugins.set(loop(chat), provider(stall))
	first := env.start()
	r := first.mustTurn("s1", "hi")
	first.watchUntil(r, "token Hel")
	first.crash()
	if _, err := env.db.RequestCancel(t.Context(), nil, env.actor, r.ID); err != nil {
		t.Fatal(err)
	}
	second := env.start()
	if got := second.watch(r); !strings.HasSuffix(got, "end cancelled 0") {
		t.Errorf("events end with\n%s", got)
	}
}

func TestCancel_fromAnotherServer(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.plugins.set(loop(chat), provider(stall))
	mine, other := env.start(), env.start()
	r := mine.mustTurn("s1", "hi")
	mine.watchUntil(r, "token Hel")
	if _, err := other.Cancel(t.Context(), nil, env.actor, r.ID); err != nil {
		t.Fatal(err)
	}
	equal(t, other.watch(r), "start\ntoken Hel\nend cancelled 1")
	equal(t, other.wait(r), "Hel")
}

// The run ends immediately. It does not wait until its server renews its lease and looks for cancel
// requests, which this server does not do during the test.
func TestCancel_fromAnotherServerOnPostgres(t *testing.T) {
	t.Parallel()
	url := dbtest.Postgres(t)
	env, otherEnv := newEnvOn(t, open(t, url)), open(t, url)
	env.plugins.set(loop(chat), provider(stall))
	mine := env.start(func(o *run.Options) { o.Wakeups, o.Times.Renew = env.db, time.Hour })
	other := env.start(func(o *run.Options) { o.Runs, o.Times.Renew = otherEnv, time.Hour })
	r := mine.mustTurn("s1", "hi")
	mine.watchUntil(r, "token Hel")
	if _, err := other.Cancel(t.Context(), nil, env.actor, r.ID); err != nil {
		t.Fatal(err)
	}
	equal(t, mine.watch(r), "start\ntoken Hel\nend cancelled 1")
}

// open opens a database that is closed when the test ends.
func open(t *testing.T, url string) *storage.DB {
	t.Helper()
	db, err := storage.Open(t.Context(), url, storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestClose_waitsForRuns(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	release := make(chan struct{})
	env.plugins.set(loop(chat), provider(func(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
		<-release
		return say("bye")(ctx, req, out)
	}))
	s := env.start()
	r := s.mustTurn("s1", "hi")
	closed := make(chan error)
	go func() { closed <- s.Close(t.Context()) }()
	for {
		_, err := s.turn("s2", "too late")
		if core.CodeOf(err) == core.CodeUnavailable {
			break
		}
	}
	close(release)
	if err := <-closed; err != nil {
		t.Errorf("Close = %v, want nil", err)
	}
	if got := env.stored(r); got.Status != core.RunCompleted {
		t.Errorf("status = %s, want %s", got.Status, core.RunCompleted)
	}
	s.once.Do(func() {})
}
