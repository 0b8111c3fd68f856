package run_test

import (
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run"
)

// otherUser creates a second user, and returns a change that gives a task to this user.
func (env *testEnv) otherUser() func(*core.Task) {
	env.t.Helper()
	u := &core.User{ID: core.NewID("user"), Username: "victim", Email: "victim@example.com", Role: core.RoleMember}
	if err := env.db.CreateUser(env.t.Context(), nil, u); err != nil {
		env.t.Fatal(err)
	}
	return func(t *core.Task) { t.UserID = u.ID }
}

// TestTaskSlots_halfWhileOthersWait checks that a user with many long tasks leaves a slot to others at once,
// and no more than half of the slots keep the user's tasks while others wait.
func TestTaskSlots_halfWhileOthersWait(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.slots = 4
	began, open := make(chan string, 99), make(chan struct{})
	env.plugins.set(loop(chat), blockingProvider(began, open))
	env.start()
	flood := func(task *core.Task) { task.Priority = core.PriorityHigh }
	for range 12 {
		env.task("flood", flood)
	}
	for range 3 { // all slots but one
		if got := <-began; got != "flood" {
			t.Fatalf("%q began, want flood", got)
		}
	}
	victim := env.otherUser()
	low := func(task *core.Task) { task.Priority = core.PriorityLow }
	for range 3 {
		env.task("victim", victim, low)
	}
	if got := <-began; got != "victim" {
		t.Fatalf("%q began in the last slot, want victim", got)
	}
	open <- struct{}{} // ends one of the four tasks
	if got := <-began; got != "victim" {
		t.Errorf("%q began in the next free slot, want victim, because flood holds half of the slots", got)
	}
	close(open)
}

func TestTaskTimeout_default(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.slots = 1
	env.plugins.set(loop(chat), blockingProvider(make(chan string, 9), nil))
	env.start(func(o *run.Options) { o.TaskTimeout = 50 * time.Millisecond })
	got := env.awaitEnd(env.task("endless", func(t *core.Task) { t.MaxAttempts = 1 }))
	if got.Error == nil || got.Error.Code != "timeout" {
		t.Errorf("error of a task without a timeout = %+v, want that of the server's default timeout", got.Error)
	}
}
