package storagetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// unstoredTask returns a task that is not stored.
func (f *fixture) unstoredTask(a *core.Agent, userID string, change ...func(*core.Task)) *core.Task {
	task := &core.Task{
		ID: core.NewID("task"), UserID: userID, AgentID: a.ID, Title: "Sum up", Description: "all of it",
		Priority: core.PriorityMedium, Data: json.RawMessage(`{"n":1}`), Input: []sdk.Part{{Text: "Sum up"}},
		Status: core.TaskPending, MaxAttempts: 3, Timeout: time.Minute,
		RunAt: f.now, CreatedAt: f.now, UpdatedAt: f.now,
	}
	for _, c := range change {
		c(task)
	}
	return task
}

// task creates a task of a user.
func (f *fixture) task(t *testing.T, a *core.Agent, userID string, change ...func(*core.Task)) *core.Task {
	t.Helper()
	task := f.unstoredTask(a, userID, change...)
	ok(t, f.CreateTask(f.ctx, nil, task))
	return task
}

// begin starts the first run of a task.
func (f *fixture) begin(t *testing.T, a *core.Agent, task *core.Task) *core.Run {
	t.Helper()
	s := f.turn(a, task.UserID, task.ID)
	s.Run.Kind, s.Run.TaskID, s.Task = core.RunTask, task.ID, task
	ok(t, f.StartRun(f.ctx, nil, s))
	return s.Run
}

// taskNow returns the stored task.
func (f *fixture) taskNow(t *testing.T, id string) *core.Task {
	t.Helper()
	task, err := f.Task(f.ctx, admin, id)
	ok(t, err)
	return task
}

func testBacklog(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	high := func(task *core.Task) { task.Priority = core.PriorityHigh }
	for range 3 {
		f.task(t, a, v.UserID)
	}
	f.task(t, a, v.UserID, high)
	run := f.begin(t, a, f.task(t, a, v.UserID, high))
	ok(t, f.DeferTask(f.ctx, run, f.now.Add(time.Hour), &sdk.Error{Code: sdk.CodeUnavailable, Message: "away"}))
	f.begin(t, a, f.task(t, a, v.UserID)) // running, so not in the backlog
	got, err := f.TaskBacklog(f.ctx, f.now)
	ok(t, err)
	counted := map[core.TaskBacklog]bool{}
	for _, b := range got {
		counted[b] = true
	}
	want := map[core.TaskBacklog]bool{
		{Priority: core.PriorityMedium, Tasks: 3}:               true,
		{Priority: core.PriorityHigh, Tasks: 1}:                 true,
		{Priority: core.PriorityHigh, Deferred: true, Tasks: 1}: true,
	}
	same(t, "backlog", counted, want)
}

func testTask(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	task := f.task(t, a, v.UserID)
	got, err := f.Task(f.ctx, v, task.ID)
	ok(t, err)
	same(t, "stored", got, task)
	err = f.CreateTask(f.ctx, nil, f.unstoredTask(&core.Agent{ID: "agent-none"}, v.UserID))
	wantCode(t, err, core.CodeNotFound)

	next, err := f.NextTask(f.ctx, f.now, nil)
	ok(t, err)
	same(t, "next", next, task)
	run := f.begin(t, a, task)
	next, err = f.NextTask(f.ctx, f.now, nil)
	ok(t, err)
	same(t, "NextTask without pending tasks", next, (*core.Task)(nil))
	second := f.turn(a, v.UserID, task.ID)
	second.Run.Kind, second.Run.TaskID, second.Task = core.RunTask, task.ID, task
	wantCode(t, f.StartRun(f.ctx, nil, second), core.CodeConflict)
	_, err = f.Run(f.ctx, admin, second.Run.ID)
	wantCode(t, err, core.CodeNotFound)

	c := &core.Call{
		RunID: run.ID, Number: 1, Kind: core.CallComplete, RequestHash: []byte{1}, Done: true,
		Result: json.RawMessage(`{}`), Usage: sdk.Usage{InputTokens: 3, OutputTokens: 4},
	}
	ok(t, f.RecordCall(f.ctx, run, c, nil))
	got = f.taskNow(t, task.ID)
	same(t, "status", got.Status, core.TaskRunning)
	same(t, "run", got.RunID, run.ID)
	same(t, "attempts", got.Attempts, 1)
	same(t, "steps", got.Steps, 1)
	same(t, "usage", got.Usage, c.Usage)

	e := f.end(run)
	e.Task = &core.TaskEnd{ID: task.ID, Status: core.TaskCompleted, Result: json.RawMessage(`{"message":"Good day"}`)}
	ok(t, f.EndRun(f.ctx, e))
	got = f.taskNow(t, task.ID)
	same(t, "status", got.Status, core.TaskCompleted)
	same(t, "result", string(got.Result), `{"message":"Good day"}`)
	same(t, "ended", got.EndedAt, e.Run.EndedAt)
	_, err = f.CancelTask(f.ctx, nil, v, task.ID, f.now)
	wantCode(t, err, core.CodeConflict)
	wantCode(t, f.FailTask(f.ctx, task.ID, f.now, &sdk.Error{Code: sdk.CodeInternal}), core.CodeConflict)
}

func testTaskVisibility(t *testing.T, f *fixture) {
	ada, bob := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	a := f.agent(t, ada)
	task := f.task(t, a, ada.UserID)
	_, err := f.Task(f.ctx, bob, task.ID)
	wantCode(t, err, core.CodeNotFound)
	_, err = f.CancelTask(f.ctx, nil, bob, task.ID, f.now)
	wantCode(t, err, core.CodeNotFound)
	for v, want := range map[core.Actor]int{ada: 1, bob: 0, admin: 1} {
		list, total, err := f.Tasks(f.ctx, v, core.TaskFilter{Page: core.Page{Limit: 10}})
		ok(t, err)
		same(t, "seen", len(list), want)
		same(t, "counted", total, want)
	}
}

func testTaskFilter(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a, b := f.agent(t, v), f.agent(t, v)
	var all []string
	for i := range 6 {
		of := a
		if i%2 == 1 {
			of = b
		}
		task := f.task(t, of, v.UserID, func(task *core.Task) {
			task.CreatedAt, task.Priority = f.at(i), core.TaskPriority(i/2+1)
		})
		all = append([]string{task.ID}, all...) // newest first
	}
	_, err := f.CancelTask(f.ctx, nil, v, all[0], f.now)
	ok(t, err)
	for _, c := range []struct {
		filter core.TaskFilter
		want   []string
		total  int
	}{
		{core.TaskFilter{Page: core.Page{Limit: 10}}, all, 6},
		{core.TaskFilter{Page: core.Page{Limit: 2, Offset: 3}}, all[3:5], 6},
		{core.TaskFilter{Status: core.TaskCancelled, Page: core.Page{Limit: 10}}, all[:1], 1},
		{core.TaskFilter{AgentID: a.ID, Page: core.Page{Limit: 2}}, []string{all[1], all[3]}, 3},
		{core.TaskFilter{Priority: core.PriorityHigh, Page: core.Page{Limit: 10}}, all[4:], 2},
		{core.TaskFilter{Priority: core.PriorityHigh, Status: core.TaskCompleted, Page: core.Page{Limit: 10}}, nil, 0},
	} {
		got, total, err := f.Tasks(f.ctx, v, c.filter)
		ok(t, err)
		same(t, show(c.filter), ids(got, func(task *core.Task) string { return task.ID }), c.want)
		same(t, "total", total, c.total)
	}
}

func testTaskOrder(t *testing.T, f *fixture) {
	ada, bob := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	a := f.agent(t, ada)
	n := 0
	wait := func(name, userID string, p core.TaskPriority) {
		n++
		f.task(t, a, userID, func(task *core.Task) { task.Title, task.Priority, task.CreatedAt = name, p, f.at(n) })
	}
	for i := range 3 {
		wait(fmt.Sprint("ada-", i), ada.UserID, core.PriorityMedium)
	}
	wait("ada-low", ada.UserID, core.PriorityLow)
	wait("bob-0", bob.UserID, core.PriorityMedium)
	wait("bob-1", bob.UserID, core.PriorityMedium)
	wait("bob-high", bob.UserID, core.PriorityHigh)
	f.task(t, a, bob.UserID, func(task *core.Task) {
		task.Title, task.Priority, task.RunAt = "later", core.PriorityHigh, f.now.Add(time.Hour)
	})
	var got []string
	for {
		task, err := f.NextTask(f.ctx, f.now.Add(time.Minute), nil)
		ok(t, err)
		if task == nil {
			break
		}
		got = append(got, task.Title)
		s := f.turn(a, task.UserID, task.ID)
		s.Run.Kind, s.Run.TaskID, s.Run.CreatedAt, s.Task = core.RunTask, task.ID, f.at(100+len(got)), task
		ok(t, f.StartRun(f.ctx, nil, s))
	}
	same(t, "order", got, []string{"bob-high", "ada-0", "bob-0", "ada-1", "bob-1", "ada-2", "ada-low"})
	task, err := f.NextTask(f.ctx, f.now.Add(2*time.Hour), nil)
	ok(t, err)
	same(t, "task whose RunAt has passed", task.Title, "later")
}

func testTaskCancel(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	waiting := f.task(t, a, v.UserID)
	got, err := f.CancelTask(f.ctx, nil, v, waiting.ID, f.at(5))
	ok(t, err)
	same(t, "status of a cancelled pending task", got.Status, core.TaskCancelled)
	same(t, "ended", got.EndedAt, f.at(5))

	running := f.task(t, a, v.UserID)
	run := f.begin(t, a, running)
	wakeups := make(chan core.Wakeup, 10)
	defer f.Subscribe(func(s core.Wakeup) {
		if s.Topic == core.TopicCancel {
			wakeups <- s
		}
	})()
	got, err = f.CancelTask(f.ctx, nil, v, running.ID, f.at(5))
	ok(t, err)
	same(t, "status of a running task", got.Status, core.TaskRunning)
	same(t, "wakeup", <-wakeups, core.Wakeup{Topic: core.TopicCancel, ID: run.ID})
	asked, err := f.CancelRequests(f.ctx, run.Owner)
	ok(t, err)
	same(t, "CancelRequests", asked, []string{run.ID})

	// A task between two attempts ends together with its run.
	deferred := f.task(t, a, v.UserID)
	run = f.begin(t, a, deferred)
	used := sdk.Usage{InputTokens: 5, OutputTokens: 4, CachedInputTokens: 3, ReasoningTokens: 2}
	ok(t, f.RecordCall(f.ctx, run, &core.Call{
		RunID: run.ID, Number: 1, Kind: core.CallComplete, RequestHash: []byte{1}, Done: true,
		Result: json.RawMessage(`{}`), Model: "gpt-4", ModelID: "openai/gpt-4", Usage: used,
	}, nil))
	ok(t, f.DeferTask(f.ctx, run, f.now.Add(time.Hour), &sdk.Error{Code: sdk.CodeUnavailable, Message: "away"}))
	got, err = f.CancelTask(f.ctx, nil, v, deferred.ID, f.at(5))
	ok(t, err)
	same(t, "status of a deferred task", got.Status, core.TaskCancelled)
	ended, err := f.Run(f.ctx, v, run.ID)
	ok(t, err)
	same(t, "status of its run", ended.Status, core.RunCancelled)
	same(t, "usage of its run", ended.Usage, used)
	same(t, "model of its run", ended.Model, "gpt-4")
	events, err := f.Events(f.ctx, run.ID, 0, 100)
	ok(t, err)
	if end := string(events[len(events)-1].Data); !strings.Contains(end, `"model":"gpt-4","tokens_used":9,`) {
		t.Errorf("the run ends with %s, want its model and tokens", end)
	}
}

func testTaskDefer(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	task := f.task(t, a, v.UserID)
	run := f.begin(t, a, task)
	call := func(number uint64, failure *sdk.Error) {
		c := &core.Call{
			RunID: run.ID, Number: number, Kind: core.CallComplete,
			RequestHash: []byte{byte(number)}, Done: true, Error: failure,
		}
		if failure == nil {
			c.Result = json.RawMessage(`{}`)
		}
		ok(t, f.RecordCall(f.ctx, run, c, nil))
	}
	away := &sdk.Error{Code: sdk.CodeUnavailable, Message: "away", Retryable: true}
	call(1, nil)
	call(2, away)
	ok(t, f.DeferTask(f.ctx, run, f.at(10), away))
	got := f.taskNow(t, task.ID)
	same(t, "status", got.Status, core.TaskPending)
	same(t, "error", got.Error, away)
	same(t, "RunAt", got.RunAt, f.at(10))
	calls, err := f.Calls(f.ctx, run.ID)
	ok(t, err)
	same(t, "remaining calls", len(calls), 1)
	wantCode(t, f.EndRun(f.ctx, f.end(run)), core.CodeConflict)
	wantCode(t, f.DeferTask(f.ctx, run, f.at(10), away), core.CodeConflict)
	claimed, err := f.ClaimRuns(f.ctx, "server-2", f.now, 10)
	ok(t, err)
	same(t, "claimed", len(claimed), 0)

	next, err := f.NextTask(f.ctx, f.at(10), nil)
	ok(t, err)
	same(t, "next", next.ID, task.ID)
	again, err := f.ResumeTask(f.ctx, next, "server-2", f.at(11))
	ok(t, err)
	same(t, "the run", again.ID, run.ID)
	same(t, "its owner", again.Owner, "server-2")
	same(t, "attempts", f.taskNow(t, task.ID).Attempts, 2)
	_, err = f.ResumeTask(f.ctx, next, "server-3", f.at(11))
	wantCode(t, err, core.CodeConflict)
}

// testTaskAtOnce checks that only one of many concurrent servers starts a task.
func testTaskAtOnce(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	const tasks, servers = 20, 4
	for i := range tasks {
		f.task(t, a, v.UserID, func(task *core.Task) { task.CreatedAt = f.at(i) })
	}
	var mu sync.Mutex
	begun := map[string]int{}
	var wg sync.WaitGroup
	for i := range servers {
		wg.Go(func() {
			for {
				task, err := f.NextTask(f.ctx, f.now, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if task == nil {
					return
				}
				s := f.turn(a, v.UserID, task.ID)
				s.Run.Kind, s.Run.TaskID, s.Task, s.Run.Owner = core.RunTask, task.ID, task, fmt.Sprint("server-", i)
				err = f.StartRun(f.ctx, nil, s)
				if err != nil && core.CodeOf(err) != core.CodeConflict {
					t.Error(err)
					return
				}
				if err == nil {
					mu.Lock()
					begun[task.ID]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	same(t, "started tasks", len(begun), tasks)
	for id, n := range begun {
		if n != 1 {
			t.Errorf("task %s was started %d times, want 1", id, n)
		}
	}
}

// testTaskQueue checks that a worker receives committed jobs and no others.
func testTaskQueue(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	drawn := make(chan struct{}, 10)
	f.task(t, a, v.UserID) // before Work is called
	stop, err := f.Work(2, func(context.Context) { drawn <- struct{}{} })
	ok(t, err)
	<-drawn
	f.task(t, a, v.UserID)
	<-drawn
	ok(t, stop(f.ctx))
	f.task(t, a, v.UserID)
	same(t, "jobs received after stop", len(drawn), 0)
}

// testTaskTurns checks that NextTask skips the tasks of some users, whatever their priority.
func testTaskTurns(t *testing.T, f *fixture) {
	ada, bob := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	a := f.agent(t, ada)
	f.task(t, a, ada.UserID, func(task *core.Task) { task.Priority = core.PriorityHigh })
	want := f.task(t, a, bob.UserID, func(task *core.Task) { task.Priority, task.CreatedAt = core.PriorityLow, f.at(5) })
	next, err := f.NextTask(f.ctx, f.now, []string{ada.UserID, "user-none"})
	ok(t, err)
	if next == nil || next.ID != want.ID {
		t.Errorf("NextTask without ada's tasks = %v, want bob's", next)
	}
	next, err = f.NextTask(f.ctx, f.now, []string{ada.UserID, bob.UserID})
	ok(t, err)
	same(t, "NextTask without anybody's tasks", next, (*core.Task)(nil))
}

// testQueuePosition checks that the positions of pending tasks are the order in which NextTask returns them.
func testQueuePosition(t *testing.T, f *fixture) {
	users := []core.Actor{
		f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember), f.user(t, "cid", core.RoleMember),
	}
	a := f.agent(t, users[0])
	var all []*core.Task
	for i, c := range []struct {
		user     int
		priority core.TaskPriority
	}{{0, 2}, {0, 2}, {0, 2}, {1, 2}, {1, 2}, {2, 1}, {2, 2}, {0, 3}} {
		all = append(all, f.task(t, a, users[c.user].UserID, func(task *core.Task) {
			task.Priority, task.CreatedAt = c.priority, f.at(i)
		}))
	}
	later := f.task(t, a, users[0].UserID, func(task *core.Task) { task.RunAt = f.now.Add(time.Hour) })
	position := func(task *core.Task) int {
		t.Helper()
		n, err := f.QueuePosition(f.ctx, task, f.now)
		ok(t, err)
		return n
	}
	same(t, "position of a task that is not due", position(later), 0)
	for n := range all {
		next, err := f.NextTask(f.ctx, f.now, nil)
		ok(t, err)
		same(t, "position of the next task", position(next), 1)
		seen := map[int]bool{}
		for _, task := range all {
			if f.taskNow(t, task.ID).Status == core.TaskPending {
				seen[position(task)] = true
			}
		}
		same(t, "different positions", len(seen), len(all)-n)
		s := f.turn(a, next.UserID, next.ID)
		s.Run.Kind, s.Run.TaskID, s.Run.CreatedAt, s.Task = core.RunTask, next.ID, f.at(100+n), next
		ok(t, f.StartRun(f.ctx, nil, s))
		same(t, "position of a running task", position(f.taskNow(t, next.ID)), 0)
	}
}
