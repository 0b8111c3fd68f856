package run_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

// task queues one, of the world's user unless change says otherwise.
func (w *world) task(text string, change ...func(*core.Task)) *core.Task {
	w.t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	t := &core.Task{
		ID: core.NewID("task"), UserID: w.viewer.UserID, AgentID: w.agent.ID, Title: text, Priority: core.PriorityMedium,
		Input: []sdk.Part{{Text: text}}, Status: core.TaskPending, MaxAttempts: 3, RunAt: now, CreatedAt: now, UpdatedAt: now,
	}
	for _, c := range change {
		c(t)
	}
	if _, err := w.db.CreateTask(w.t.Context(), t); err != nil {
		w.t.Fatal(err)
	}
	return t
}

var everything = core.Actor{UserID: "user-admin", Role: core.RoleAdmin}

func (w *world) storedTask(t *core.Task) *core.Task {
	w.t.Helper()
	got, err := w.db.Task(w.t.Context(), everything, t.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// awaitTask waits until the task is as a condition wants it.
func (w *world) awaitTask(t *core.Task, what string, is func(*core.Task) bool) *core.Task {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		got := w.storedTask(t)
		if is(got) {
			return got
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the task is not %s: %+v", what, got)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (w *world) awaitEnd(t *core.Task) *core.Task {
	w.t.Helper()
	return w.awaitTask(t, "ended", func(t *core.Task) bool { return t.Status.Ended() })
}

func TestATaskIsWorkedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slots = 4
	w.plugins.set(loop(chat), say("Good", " day"))
	w.start()
	got := w.awaitEnd(w.task("Say good day"))
	if got.Status != core.TaskCompleted || got.Attempts != 1 || got.RunID == "" || got.Usage.OutputTokens != 2 || got.Steps != 1 {
		t.Errorf("%+v", got)
	}
	if !strings.Contains(string(got.Result), `"message":"Good day"`) {
		t.Errorf("result %s", got.Result)
	}
}

func TestATaskIsTriedAgainFromWhereItStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slots = 4
	var mu sync.Mutex
	asked := map[string]int{}
	w.plugins.set(loop(func(_ context.Context, _ *agent.Run, call func(*agent.Call) (*agent.Result, error)) (*sdk.Message, error) {
		if _, err := call(complete("first", false)); err != nil {
			return nil, err
		}
		_, err := call(complete("second", true))
		return nil, err
	}), provider(func(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
		text := req.Messages[0].Text()
		mu.Lock()
		asked[text]++
		n := asked[text]
		mu.Unlock()
		if text == "second" && n < 3 {
			return nil, &sdk.Error{Code: sdk.CodeRateLimited, Message: "busy", Retryable: true}
		}
		return say("done")(ctx, req, out)
	}))
	w.start()
	got := w.awaitEnd(w.task("two steps"))
	if got.Status != core.TaskCompleted || got.Attempts != 3 || asked["first"] != 1 || asked["second"] != 3 {
		t.Errorf("%+v, asked %v", got, asked)
	}
}

func TestATaskFailsWhenItsAttemptsAreUsedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slots = 4
	w.plugins.set(loop(chat), provider(func(context.Context, *llm.Request, llm.Stream) (*llm.Finish, error) {
		return nil, &sdk.Error{Code: sdk.CodeRateLimited, Message: "busy", Retryable: true}
	}))
	w.start()
	got := w.awaitEnd(w.task("in vain", func(t *core.Task) { t.MaxAttempts = 2 }))
	if got.Status != core.TaskFailed || got.Attempts != 2 || got.Error == nil || got.Error.Code != sdk.CodeRateLimited {
		t.Errorf("%+v", got)
	}
	if r, err := w.db.Run(t.Context(), w.viewer, got.RunID); err != nil || r.Status != core.RunFailed || r.TaskID != got.ID {
		t.Errorf("run %+v, %v", r, err)
	}
}

// hold is a provider that waits until its context ends or open is closed.
func hold(began chan<- string, open <-chan struct{}) provider {
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

func TestATaskIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slots = 1
	began := make(chan string, 9)
	w.plugins.set(loop(chat), hold(began, nil))
	s := w.start()
	running := w.task("running")
	<-began
	waiting := w.task("waiting")
	for _, one := range []*core.Task{waiting, running} {
		got, err := s.CancelTask(t.Context(), w.viewer, one.ID)
		if err != nil || got.Status != core.TaskCancelled || got.EndedAt.IsZero() {
			t.Errorf("%s: %+v, %v", one.Title, got, err)
		}
		if _, err := s.CancelTask(t.Context(), w.viewer, one.ID); core.CodeOf(err) != core.CodeConflict {
			t.Errorf("%s once more: %v", one.Title, err)
		}
	}
	if got := w.storedTask(waiting); got.RunID != "" {
		t.Errorf("a cancelled task was begun: %+v", got)
	}
}

func TestATaskThatWaitsForAnotherAttemptIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slots = 4
	w.plugins.set(loop(chat), provider(func(context.Context, *llm.Request, llm.Stream) (*llm.Finish, error) {
		return nil, &sdk.Error{Code: sdk.CodeRateLimited, Message: "busy", Retryable: true, RetryAfter: time.Hour}
	}))
	s := w.start()
	one := w.task("later")
	w.awaitTask(one, "waiting again", func(t *core.Task) bool { return t.Status == core.TaskPending && t.Attempts == 1 })
	got, err := s.CancelTask(t.Context(), w.viewer, one.ID)
	if err != nil || got.Status != core.TaskCancelled {
		t.Fatalf("%+v, %v", got, err)
	}
	r := &core.Run{ID: got.RunID}
	if stored := w.stored(r); stored.Status != core.RunCancelled {
		t.Errorf("its run is %s", stored.Status)
	}
	if seen := s.watch(r); !strings.HasSuffix(seen, "end cancelled 0") {
		t.Errorf("its watcher saw\n%s", seen)
	}
}

func TestATaskIsTakenUpByTheNextServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slots = 4
	began, open := make(chan string, 9), make(chan struct{})
	w.plugins.set(loop(chat), hold(began, open))
	first := w.start()
	one := w.task("survive")
	<-began
	first.die()
	close(open)
	w.start()
	got := w.awaitEnd(one)
	if got.Status != core.TaskCompleted || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
}

// What waits goes by its priority, and users take turns, however many tasks one has.
func TestTheOrderOfTasks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slots = 1
	began, open := make(chan string, 99), make(chan struct{})
	w.plugins.set(loop(chat), hold(began, open))
	w.start()
	w.task("first")
	<-began
	bob := func(t *core.Task) { t.UserID = "user-bob" }
	low := func(t *core.Task) { t.Priority = core.PriorityLow }
	high := func(t *core.Task) { t.Priority = core.PriorityHigh }
	w.task("ann low", low)
	for i := range 3 {
		w.task(fmt.Sprint("ann ", i))
	}
	w.task("bob 0", bob)
	w.task("bob 1", bob)
	w.task("ann high", high)
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

func TestManyTasksAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slots = 4
	w.plugins.set(loop(chat), say("done"))
	// Two servers on one database: each task is worked on once.
	w.start()
	w.start()
	var tasks []*core.Task
	for i := range 30 {
		tasks = append(tasks, w.task(fmt.Sprint("task ", i)))
	}
	for _, one := range tasks {
		if got := w.awaitEnd(one); got.Status != core.TaskCompleted || got.Attempts != 1 || got.Steps != 1 {
			t.Errorf("%+v", got)
		}
	}
}

func TestATaskTakesTooLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slots = 4
	w.plugins.set(loop(chat), hold(make(chan string, 9), nil))
	w.start()
	got := w.awaitEnd(w.task("slow", func(t *core.Task) { t.Timeout = 50 * time.Millisecond }))
	if got.Status != core.TaskFailed || got.Error == nil || got.Error.Code != sdk.CodeTimeout {
		t.Errorf("%+v", got)
	}
}

func TestATaskOfAnInactiveAgentFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.slots = 4
	w.plugins.set(loop(chat), say("done"))
	one := w.task("too late")
	w.agent.Status = core.AgentInactive
	if err := w.db.UpdateAgent(t.Context(), w.viewer, w.agent); err != nil {
		t.Fatal(err)
	}
	w.start()
	if got := w.awaitEnd(one); got.Status != core.TaskFailed || got.RunID != "" || !strings.Contains(got.Error.Message, "inactive") {
		t.Errorf("%+v", got)
	}
}
