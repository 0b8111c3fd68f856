package run

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/sdk"
)

// maxBackoff is the longest pause before a task is tried again.
const maxBackoff = 5 * time.Minute

// taskWork is what the engine needs to work on tasks.
type taskWork struct {
	// slots has one entry for each task that is worked on.
	slots chan struct{}
	// claiming lets one at a time look for the next task.
	claiming sync.Mutex
	stop     func(context.Context) error
}

// startTasks has the queue call for work, and looks for work besides: a job
// of the queue is lost for long with the server that drew it.
func (e *Engine) startTasks(loop context.Context) error {
	if e.Queue == nil {
		return nil
	}
	stop, err := e.Queue.Work(e.TaskSlots, func(ctx context.Context) {
		select {
		case e.tasks.slots <- struct{}{}:
			e.workOn()
			<-e.tasks.slots
		case <-ctx.Done():
		}
	})
	if err != nil {
		return err
	}
	e.tasks.stop = stop
	e.looping.Go(func() {
		ticker := time.NewTicker(e.Times.Renew)
		defer ticker.Stop()
		for {
			e.workLeft()
			select {
			case <-loop.Done():
				return
			case <-ticker.C:
			}
		}
	})
	return nil
}

// stopTasks takes no more tasks and gives those under way until ctx ends.
func (e *Engine) stopTasks(ctx context.Context) {
	stop := e.tasks.stop
	if stop == nil {
		return
	}
	e.tasks.stop = nil
	e.running.Go(func() {
		if err := stop(ctx); err != nil {
			e.Logger.WarnContext(ctx, "the task queue did not stop in time", "error", err)
		}
	})
}

// maxTasksPerJob is how many tasks one job of the queue may be used for.
const maxTasksPerJob = 100

// workOn works on tasks, one after the other, while there are any.
func (e *Engine) workOn() {
	for range maxTasksPerJob {
		x := e.claimTask()
		if x == nil {
			return
		}
		e.running.Go(func() { e.finishTask(x) })
		<-x.done
	}
}

// workLeft fills the free slots with tasks that wait.
func (e *Engine) workLeft() {
	for {
		select {
		case e.tasks.slots <- struct{}{}:
		default:
			return
		}
		x := e.claimTask()
		if x == nil {
			<-e.tasks.slots
			return
		}
		e.running.Go(func() {
			defer func() { <-e.tasks.slots }()
			e.finishTask(x)
			e.workOn()
		})
	}
}

func (e *Engine) finishTask(x *execution) {
	defer e.retire(x)
	if x.run.Attempt > 1 || x.resumed {
		x.resume()
	} else {
		x.execute()
	}
	<-x.done
}

// claimTask makes the next task this server's; nil when there is none.
func (e *Engine) claimTask() *execution {
	if !e.admit() {
		return nil
	}
	defer e.running.Done()
	e.tasks.claiming.Lock()
	defer e.tasks.claiming.Unlock()
	for e.ctx.Err() == nil {
		t, err := e.Tasks.NextTask(e.ctx, time.Now().UTC())
		if err != nil {
			e.Logger.ErrorContext(e.ctx, "tasks not looked for", "error", err)
			return nil
		}
		if t == nil {
			return nil
		}
		x, err := e.begin(t)
		switch {
		case err == nil:
			return x
		case core.CodeOf(err) == core.CodeConflict: // somebody was quicker
		default:
			e.Logger.ErrorContext(e.ctx, "task not begun", "task_id", t.ID, "user_id", t.UserID, "error", err)
			return nil
		}
	}
	return nil
}

// begin starts an attempt of a task.
func (e *Engine) begin(t *core.Task) (*execution, error) {
	if t.RunID != "" {
		return e.beginAgain(t)
	}
	// Whoever made the task was allowed to use the agent then.
	agent, err := e.Agents.Agent(e.ctx, core.Actor{UserID: t.UserID, Role: core.RoleAdmin}, t.AgentID)
	if err != nil {
		return nil, err
	}
	if agent.Status == core.AgentInactive {
		failure := &sdk.Error{Code: sdk.CodeUnavailable, Message: "the agent is inactive: set its status to active first"}
		return nil, orConflict(e.Tasks.FailTask(e.ctx, t.ID, time.Now().UTC(), failure))
	}
	from := origin{ctx: context.Background(), agentName: agent.Name, at: time.Now()}
	r, input := newTurn(core.Actor{UserID: t.UserID}, core.Turn{Agent: agent, SessionID: t.ID, Parts: t.Input, Stream: true})
	r.Kind, r.TaskID, r.Owner = core.RunTask, t.ID, e.Owner
	stream := e.Log.Open(r.ID)
	err = stream.Publish(e.ctx, events.TypeStart, startEvent(r), func(rows []core.EventRow) error {
		return e.Runs.StartRun(e.ctx, core.RunStart{Run: r, Input: input, Task: t, Events: rows})
	})
	if err != nil {
		return nil, err
	}
	e.Metrics.TaskBegun(t.Priority, from.at.Sub(t.RunAt))
	x := e.execution(from, r, input, stream)
	x.task = t
	t.Attempts++
	return x, nil
}

// orConflict has a caller look for another task.
func orConflict(err error) error {
	if err == nil {
		return core.Conflict("The task has ended")
	}
	return err
}

// beginAgain goes on with the run of a task that waited for another attempt.
func (e *Engine) beginAgain(t *core.Task) (*execution, error) {
	r, err := e.Tasks.ResumeTask(e.ctx, t, e.Owner, time.Now().UTC())
	if err != nil {
		return nil, err
	}
	var x *execution
	err = e.retry(e.ctx, e.Logger, func(ctx context.Context) (err error) {
		x, err = e.restore(ctx, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	x.resumed = true
	return x, nil
}

// retryLater lets a task wait for another attempt, if its failure may pass and it
// has one left.
func (x *execution) retryLater(failure *sdk.Error) bool {
	if x.task == nil || !failure.Retryable || x.task.Attempts >= x.task.MaxAttempts || x.run.Attempt >= x.maxAttempts() {
		return false
	}
	x.mu.Lock()
	already := x.ending
	x.ending = true
	x.mu.Unlock()
	if already {
		return true
	}
	pause := x.engine.backoff(x.task.Attempts, failure.RetryAfter)
	x.log.InfoContext(x.base, "the task waits for another attempt", "attempts", x.task.Attempts, "pause", pause)
	err := x.persist(func(ctx context.Context) error {
		return x.engine.Tasks.DeferTask(ctx, x.run, time.Now().UTC().Add(pause), failure)
	})
	if err != nil {
		x.log.WarnContext(x.base, "the task is left to another server", "error", err)
	}
	x.stream.Drop()
	x.outcome = outcomeDeferred
	close(x.done)
	x.stop(errLost)
	return true
}

// backoff is the pause after that many attempts, with jitter.
func (e *Engine) backoff(attempts int, after time.Duration) time.Duration {
	pause := e.Times.Backoff << min(attempts-1, 16)
	pause = min(max(pause, after), max(maxBackoff, after))
	return pause + rand.N(pause/5+1) //nolint:gosec // no secret
}

// taskEnd is how a task ends with its run.
func taskEnd(r *core.Run, answer *core.Message) *core.TaskEnd {
	end := &core.TaskEnd{ID: r.TaskID, Status: core.TaskFailed, Error: r.Error}
	switch r.Status { //nolint:exhaustive // the others are failures
	case core.RunCompleted:
		end.Status = core.TaskCompleted
	case core.RunCancelled:
		end.Status = core.TaskCancelled
	}
	if answer != nil && end.Status == core.TaskCompleted {
		end.Result = taskResult(answer)
	}
	return end
}

// taskResult is what the API shows of the final message.
func taskResult(m *core.Message) json.RawMessage {
	type file struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	var files []file
	for _, p := range m.Parts {
		if p.File != nil {
			files = append(files, file{p.File.ID, p.File.Name})
		}
	}
	return marshal(struct {
		Message   string `json:"message"`
		MessageID string `json:"message_id"`
		Files     []file `json:"files,omitempty"`
	}{m.SDK().Text(), m.ID, files})
}

// CancelTask implements core.Runner.
func (e *Engine) CancelTask(ctx context.Context, v core.Actor, taskID string) (*core.Task, error) {
	t, err := e.Tasks.CancelTask(ctx, v, taskID, time.Now().UTC())
	if err != nil || t.Status.Ended() {
		return t, err
	}
	if x := e.find(t.RunID); x != nil {
		x.stop(errCancelled)
		select {
		case <-x.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return e.Tasks.Task(ctx, v, taskID)
}

// WatchTask implements core.Runner.
func (e *Engine) WatchTask(ctx context.Context, v core.Actor, taskID string, after int64) (core.EventStream, error) {
	if _, err := e.Tasks.Task(ctx, v, taskID); err != nil {
		return nil, err
	}
	return &taskWatch{engine: e, viewer: v, taskID: taskID, after: after}, nil
}

// taskWatch waits for a task's run and watches that.
type taskWatch struct {
	engine *Engine
	viewer core.Actor
	taskID string
	after  int64
	run    core.EventStream
}

// taskPoll is how often a watcher asks whether the task has begun.
const taskPoll = 250 * time.Millisecond

// Next implements core.EventStream.
func (w *taskWatch) Next(ctx context.Context) ([]core.Event, error) {
	for w.run == nil {
		t, err := w.engine.Tasks.Task(ctx, w.viewer, w.taskID)
		if err != nil {
			return nil, err
		}
		if t.RunID == "" && t.Status.Ended() {
			return nil, io.EOF
		}
		if t.RunID == "" {
			select {
			case <-time.After(taskPoll):
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			continue
		}
		if w.run, err = w.engine.Watch(ctx, w.viewer, t.RunID, w.after); err != nil {
			return nil, err
		}
	}
	return w.run.Next(ctx)
}
