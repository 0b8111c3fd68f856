package run_test

import (
	"context"
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

// endRecorder records the end of the last run and the number of events at its start.
type endRecorder struct {
	core.RunStore
	mu    sync.Mutex
	begun int
	end   core.RunEnd
}

func (r *endRecorder) StartRun(ctx context.Context, audit *core.AuditRecord, s core.RunStart) error {
	r.mu.Lock()
	r.begun = len(s.Events)
	r.mu.Unlock()
	return r.RunStore.StartRun(ctx, audit, s)
}

func (r *endRecorder) EndRun(ctx context.Context, e core.RunEnd) error {
	r.mu.Lock()
	r.end = e
	r.mu.Unlock()
	return r.RunStore.EndRun(ctx, e)
}

// TestRunEnd_complete checks that a run is reported as complete only if nothing was stored between its start and
// its end, and that a short turn is.
func TestRunEnd_complete(t *testing.T) {
	t.Parallel()
	storedTokens := func(env *testEnv) llm.Provider {
		return provider(func(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
			if err := out.Send(llm.Delta{Text: "slow"}); err != nil {
				return nil, err
			}
			for env.storedEvents(ctx) < 2 { // the start and the token
				time.Sleep(time.Millisecond)
			}
			return say(" answer")(ctx, req, out)
		})
	}
	for name, c := range map[string]struct {
		loop     loop
		provider func(*testEnv) llm.Provider
		want     bool
	}{
		"short turn":        {chat, func(*testEnv) llm.Provider { return say("short") }, true},
		"no answer":         {noAnswer, func(*testEnv) llm.Provider { return nil }, true},
		"failed completion": {chat, func(*testEnv) llm.Provider { return nil }, false},
		"two completions":   {twoSteps, func(*testEnv) llm.Provider { return say("two") }, false},
		"tools":             {useTool, func(*testEnv) llm.Provider { return nil }, false},
		"stored tokens":     {chat, storedTokens, false},
		"restarted plugin":  {crashOnce(), func(*testEnv) llm.Provider { return say("again") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			env.toolbox = &fakeTools{calls: map[string]int{}}
			env.plugins.set(c.loop, c.provider(env))
			recorder := &endRecorder{RunStore: env.db}
			s := env.start(func(o *run.Options) { o.Runs = recorder })
			r := s.mustTurn("s1", "read")
			s.watch(r)
			calls, err := env.db.Calls(t.Context(), r.ID)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := env.db.Events(t.Context(), r.ID, 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			contained := 0
			if recorder.end.Call != nil {
				contained = 1
			}
			whole := len(calls) == contained && len(rows) == recorder.begun+len(recorder.end.Events)
			if got := recorder.end.Complete; got != c.want || got && !whole {
				t.Errorf("Complete = %t with %d calls and %d events stored, want %t", got, len(calls), len(rows), c.want)
			}
		})
	}
}

// noAnswer is an agent type that ends its runs without an answer.
func noAnswer(context.Context, *agent.Run, callFunc) (*sdk.Message, error) { return nil, nil }

// crashOnce returns an agent type whose process crashes in the first attempt.
func crashOnce() loop {
	var attempts atomic.Int64
	return func(ctx context.Context, r *agent.Run, call callFunc) (*sdk.Message, error) {
		if attempts.Add(1) == 1 {
			return nil, agent.ErrPluginCrashed
		}
		return chat(ctx, r, call)
	}
}

// storedEvents returns the number of stored events of all runs of the env's user in session s1.
func (env *testEnv) storedEvents(ctx context.Context) (n int) {
	messages, _, err := env.db.Messages(ctx, core.MessageFilter{
		AgentID: env.agent.ID, UserID: env.actor.UserID, SessionID: "s1", Limit: 1,
	})
	if err != nil || len(messages) == 0 {
		return 0
	}
	rows, _ := env.db.Events(ctx, messages[0].RunID, 0, 100)
	return len(rows)
}

// TestTask_failsBeyondTheQuota checks that a task that was accepted fails with the reason if its user has reached
// the limit before it starts, and that the next user's task runs.
func TestTask_failsBeyondTheQuota(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/test.db"
	dbtest.Create(t, path)
	db, err := storage.Open(t.Context(), "sqlite://"+path, storage.Options{
		ObjectLimits: core.ObjectLimits{DatabaseBytes: 20_000},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	env := newEnvOn(t, db)
	env.slots = 4
	env.plugins.set(loop(chat), say("done"))
	one := env.task(strings.Repeat("x", 8000)) // its input makes the run exceed the limit
	small := env.task("small")
	env.start()
	got := env.awaitEnd(one)
	if got.Status != core.TaskFailed || got.RunID != "" || got.Error.Code != sdk.CodeNoSpace ||
		!strings.Contains(got.Error.Message, "limit of 20000 bytes") {
		t.Errorf("task = %+v with error %+v, want it failed with no_space and the limit", got, got.Error)
	}
	if got := env.awaitEnd(small); got.Status != core.TaskCompleted {
		t.Errorf("a small task = %+v, want it completed", got)
	}
}
