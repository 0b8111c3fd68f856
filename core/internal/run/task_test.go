package run_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

// task creates a task of the env's user. change modifies it first.
func (env *testEnv) task(text string, change ...func(*core.Task)) *core.Task {
	env.t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	t := &core.Task{
		ID: core.NewID("task"), UserID: env.actor.UserID, AgentID: env.agent.ID, Title: text, Priority: core.PriorityMedium,
		Input: []sdk.Part{{Text: text}}, Status: core.TaskPending, MaxAttempts: 3, RunAt: now, CreatedAt: now, UpdatedAt: now,
	}
	for _, c := range change {
		c(t)
	}
	if err := env.db.CreateTask(env.t.Context(), nil, t); err != nil {
		env.t.Fatal(err)
	}
	return t
}

var admin = core.Actor{UserID: "user-admin", Role: core.RoleAdmin}

func (env *testEnv) storedTask(t *core.Task) *core.Task {
	env.t.Helper()
	got, err := env.db.Task(env.t.Context(), admin, t.ID)
	if err != nil {
		env.t.Fatal(err)
	}
	return got
}

// awaitTask waits until the task meets the condition that what describes.
func (env *testEnv) awaitTask(t *core.Task, what string, is func(*core.Task) bool) *core.Task {
	env.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		got := env.storedTask(t)
		if is(got) {
			return got
		}
		if time.Now().After(deadline) {
			env.t.Fatalf("task did not become %s in time: %+v", what, got)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (env *testEnv) awaitEnd(t *core.Task) *core.Task {
	env.t.Helper()
	return env.awaitTask(t, "ended", func(t *core.Task) bool { return t.Status.Ended() })
}

func TestTask_completes(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.slots = 4
	env.plugins.set(loop(chat), say("Good", " day"))
	env.start()
	got := env.awaitEnd(env.task("Say good day"))
	if got.Status != core.TaskCompleted || got.Attempts != 1 || got.RunID == "" || got.Usage.OutputTokens != 2 ||
		got.Steps != 1 {
		t.Errorf("task = %+v, want it completed at the first attempt with one step", got)
	}
	if !strings.Contains(string(got.Result), `"message":"Good day"`) {
		t.Errorf("result = %s, want the answer as message", got.Result)
	}
}

func TestTask_nextAttemptReplaysRecordedCalls(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.slots = 4
	var mu sync.Mutex
	attempts := map[string]int{}
	env.plugins.set(loop(func(_ context.Context, _ *agent.Run, call callFunc) (*sdk.Message, error) {
		if _, err := call(complete("first", false)); err != nil {
			return nil, err
		}
		_, err := call(complete("second", true))
		return nil, err
	}), provider(func(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
		text := req.Messages[0].Text()
		mu.Lock()
		attempts[text]++
		n := attempts[text]
		mu.Unlock()
		if text == "second" && n < 3 {
			return nil, &sdk.Error{Code: sdk.CodeRateLimited, Message: "busy", Retryable: true}
		}
		return say("done")(ctx, req, out)
	}))
	env.start()
	got := env.awaitEnd(env.task("two steps"))
	if got.Status != core.TaskCompleted || got.Attempts != 3 || attempts["first"] != 1 || attempts["second"] != 3 {
		t.Errorf("task = %+v after the requests %v", got, attempts)
	}
}

func TestTask_failsAfterLastAttempt(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.slots = 4
	env.plugins.set(loop(chat), provider(func(context.Context, *llm.Request, llm.Stream) (*llm.Finish, error) {
		return nil, &sdk.Error{Code: sdk.CodeRateLimited, Message: "busy", Retryable: true}
	}))
	env.start()
	got := env.awaitEnd(env.task("in vain", func(t *core.Task) { t.MaxAttempts = 2 }))
	if got.Status != core.TaskFailed || got.Attempts != 2 || got.Error == nil || got.Error.Code != sdk.CodeRateLimited {
		t.Errorf("task = %+v, want it failed with %s after 2 attempts", got, sdk.CodeRateLimited)
	}
	if r, err := env.db.Run(t.Context(), env.actor, got.RunID); err != nil || r.Status != core.RunFailed ||
		r.TaskID != got.ID {
		t.Errorf("Run = %+v, %v, want the failed run of the task", r, err)
	}
}

// blockingProvider returns a provider that sends the prompt to began, and then waits until open is
// closed or its context ends.
func blockingProvider(began chan<- string, open <-chan struct{}) provider {
	return func(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
		began <- req.Messages[0].Text()
		select {
		case <-open:
			return say("done")(ctx, req, out)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func TestCancelTask_runningAndWaiting(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.slots = 1
	began := make(chan string, 9)
	env.plugins.set(loop(chat), blockingProvider(began, nil))
	s := env.start()
	running := env.task("running")
	<-began
	waiting := env.task("waiting")
	for _, one := range []*core.Task{waiting, running} {
		got, err := s.CancelTask(t.Context(), nil, env.actor, one.ID)
		if err != nil || got.Status != core.TaskCancelled || got.EndedAt.IsZero() {
			t.Errorf("CancelTask(%s) = %+v, %v, want it cancelled", one.Title, got, err)
		}
		if _, err := s.CancelTask(t.Context(), nil, env.actor, one.ID); core.CodeOf(err) != core.CodeConflict {
			t.Errorf("second CancelTask(%s) = %v, want %s", one.Title, err, core.CodeConflict)
		}
	}
	if got := env.storedTask(waiting); got.RunID != "" {
		t.Errorf("cancelled task has run %s, want none", got.RunID)
	}
}

func TestCancelTask_deferred(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.slots = 4
	env.plugins.set(loop(chat), provider(func(context.Context, *llm.Request, llm.Stream) (*llm.Finish, error) {
		return nil, &sdk.Error{Code: sdk.CodeRateLimited, Message: "busy", Retryable: true, RetryAfter: time.Hour}
	}))
	s := env.start()
	one := env.task("later")
	env.awaitTask(one, "deferred", func(t *core.Task) bool { return t.Status == core.TaskPending && t.Attempts == 1 })
	got, err := s.CancelTask(t.Context(), nil, env.actor, one.ID)
	if err != nil || got.Status != core.TaskCancelled {
		t.Fatalf("CancelTask = %+v, %v, want it cancelled", got, err)
	}
	r := &core.Run{ID: got.RunID}
	if stored := env.stored(r); stored.Status != core.RunCancelled {
		t.Errorf("status of the run = %s, want %s", stored.Status, core.RunCancelled)
	}
	if seen := s.watch(r); !strings.HasSuffix(seen, "end cancelled 0") {
		t.Errorf("events end with\n%s", seen)
	}
}

func TestTask_isResumedByAnotherServer(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.slots = 4
	began, open := make(chan string, 9), make(chan struct{})
	env.plugins.set(loop(chat), blockingProvider(began, open))
	first := env.start()
	one := env.task("survive")
	<-began
	first.crash()
	close(open)
	env.start()
	got := env.awaitEnd(one)
	if got.Status != core.TaskCompleted || got.Attempts != 1 {
		t.Errorf("task = %+v, want it completed at the first attempt", got)
	}
}

// Tasks start by priority. Users take turns, however many tasks each of them has.
func TestTask_order(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.slots = 1
	began, open := make(chan string, 99), make(chan struct{})
	env.plugins.set(loop(chat), blockingProvider(began, open))
	env.start()
	env.task("first")
	<-began
	bob := func(t *core.Task) { t.UserID = "user-bob" }
	low := func(t *core.Task) { t.Priority = core.PriorityLow }
	high := func(t *core.Task) { t.Priority = core.PriorityHigh }
	env.task("ann low", low)
	for i := range 3 {
		env.task(fmt.Sprint("ann ", i))
	}
	env.task("bob 0", bob)
	env.task("bob 1", bob)
	env.task("ann high", high)
	close(open)
	var got []string
	for range 7 {
		got = append(got, <-began)
	}
	want := "ann high,bob 0,ann 0,bob 1,ann 1,ann 2,ann low"
	if strings.Join(got, ",") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestTask_manyTasksOnTwoServers(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.slots = 4
	env.plugins.set(loop(chat), say("done"))
	// Each task must be executed once, although two servers look for tasks.
	env.start()
	env.start()
	var tasks []*core.Task
	for i := range 30 {
		tasks = append(tasks, env.task(fmt.Sprint("task ", i)))
	}
	for _, one := range tasks {
		if got := env.awaitEnd(one); got.Status != core.TaskCompleted || got.Attempts != 1 || got.Steps != 1 {
			t.Errorf("task = %+v, want it completed at the first attempt with one step", got)
		}
	}
}

// busyQueue is a queue that does not start until it has failed several times with err.
type busyQueue struct {
	core.TaskQueue
	failures int
	err      error
}

func (q *busyQueue) Work(slots int, do func(context.Context)) (func(context.Context) error, error) {
	if q.failures > 0 {
		q.failures--
		return nil, q.err
	}
	return q.TaskQueue.Work(slots, do)
}

func TestTask_queueStartsWhenTheDatabaseIsNoLongerBusy(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.slots = 4
	env.plugins.set(loop(chat), say("done"))
	queue := &busyQueue{env.db, 3, core.Unavailable("The database is busy")}
	env.start(func(o *run.Options) { o.Queue, o.Times.Renew = queue, time.Hour })
	if got := env.awaitEnd(env.task("hi")); got.Status != core.TaskCompleted {
		t.Errorf("task = %+v, want it completed", got)
	}
}

func TestTask_queueThatCannotStartFailsTheEngine(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	queue := &busyQueue{env.db, 1, errors.New("no such table")}
	e := run.New(run.Options{
		Runs: env.db, Tasks: env.db, Queue: queue, Logger: slog.New(slog.DiscardHandler), Owner: core.NewID("server"),
	})
	if err := e.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "start the task queue: no such table") {
		t.Errorf("Start() = %v, want the error of the queue", err)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTask_timeout(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.slots = 4
	env.plugins.set(loop(chat), blockingProvider(make(chan string, 9), nil))
	env.start()
	got := env.awaitEnd(env.task("slow", func(t *core.Task) { t.Timeout = 50 * time.Millisecond }))
	if got.Status != core.TaskFailed || got.Error == nil || got.Error.Code != sdk.CodeTimeout {
		t.Errorf("task = %+v, want it failed with %s", got, sdk.CodeTimeout)
	}
}

func TestTask_failsWhenTheAgentIsInactive(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.slots = 4
	env.plugins.set(loop(chat), say("done"))
	one := env.task("too late")
	env.agent.Status = core.AgentInactive
	if err := env.db.UpdateAgent(t.Context(), nil, env.actor, env.agent); err != nil {
		t.Fatal(err)
	}
	env.start()
	if got := env.awaitEnd(one); got.Status != core.TaskFailed || got.RunID != "" ||
		!strings.Contains(got.Error.Message, "inactive") {
		t.Errorf("task = %+v, want it failed without a run, because its agent is inactive", got)
	}
}
