package run

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/sdk"
)

// maxTasksPerJob is the maximum number of tasks that one job of the queue executes.
const maxTasksPerJob = 100

// taskWorker executes tasks.
type taskWorker struct {
	engine *Engine
	// slots holds one element for each task that is being executed.
	slots chan struct{}
	// claiming serializes the search for the next task. It guards shares.
	claiming sync.Mutex
	shares   shares
	// stopQueue is nil before start and after stop.
	stopQueue func(context.Context) error
}

func newTaskWorker(e *Engine) *taskWorker {
	return &taskWorker{
		engine: e, slots: make(chan struct{}, e.opts.TaskSlots),
		shares: shares{slots: e.opts.TaskSlots, held: map[string]int{}},
	}
}

// start executes tasks when the queue announces them. While the queue cannot start because the
// database is busy, start retries until ctx ends. Until loop ends, it also looks for tasks
// regularly, because a job is delayed for an hour if the server that fetched it crashes.
func (w *taskWorker) start(ctx, loop context.Context) error {
	o := &w.engine.opts
	if o.Queue == nil {
		return nil
	}
	err := w.engine.retry.Do(ctx, func(context.Context) (err error) {
		w.stopQueue, err = o.Queue.Work(o.TaskSlots, w.work)
		return err
	})
	if err != nil {
		return fmt.Errorf("start the task queue: %w", err)
	}
	w.engine.loops.Go(func() {
		ticker := time.NewTicker(o.Times.Renew)
		defer ticker.Stop()
		for {
			w.fillSlots()
			select {
			case <-loop.Done():
				return
			case <-ticker.C:
			}
		}
	})
	return nil
}

// work executes tasks in a free slot. The queue calls it for each job.
func (w *taskWorker) work(ctx context.Context) {
	select {
	case w.slots <- struct{}{}:
		w.executeTasks()
		<-w.slots
	case <-ctx.Done():
	}
}

// stop stops the queue in the background, which waits for the tasks in progress until ctx
// ends.
func (w *taskWorker) stop(ctx context.Context) {
	stop := w.stopQueue
	if stop == nil {
		return
	}
	w.stopQueue = nil
	w.engine.active.start(func() {
		if err := stop(ctx); err != nil {
			w.engine.opts.Logger.WarnContext(ctx, "task queue did not stop in time", "error", err)
		}
	})
}

// executeTasks executes waiting tasks one after the other, up to maxTasksPerJob.
func (w *taskWorker) executeTasks() {
	for range maxTasksPerJob {
		x := w.claim()
		if x == nil {
			return
		}
		w.engine.active.start(func() { w.execute(x) })
		<-x.settler.done
		w.release(x)
	}
}

// fillSlots starts waiting tasks in the free slots.
func (w *taskWorker) fillSlots() {
	for {
		select {
		case w.slots <- struct{}{}:
		default:
			return
		}
		x := w.claim()
		if x == nil {
			<-w.slots
			return
		}
		w.engine.active.start(func() {
			defer func() { <-w.slots }()
			w.execute(x)
			w.release(x)
			w.executeTasks()
		})
	}
}

func (w *taskWorker) execute(x *execution) {
	defer w.engine.remove(x)
	if x.run.Attempt > 1 || x.deferred {
		x.resume()
	} else {
		x.execute()
	}
	<-x.settler.done
}

// release returns the slot of a task to its user's share.
func (w *taskWorker) release(x *execution) {
	w.claiming.Lock()
	defer w.claiming.Unlock()
	w.shares.release(x.run.UserID)
}

// claim claims the next task for this server and returns its run, or nil if no task waits that its user's
// share allows.
func (w *taskWorker) claim() *execution {
	e := w.engine
	if !e.active.admit() {
		return nil
	}
	defer e.active.release()
	w.claiming.Lock()
	defer w.claiming.Unlock()
	for e.ctx.Err() == nil {
		t, err := w.next()
		if err != nil {
			e.opts.Logger.ErrorContext(e.ctx, "cannot look for tasks", "error", err)
			return nil
		}
		if t == nil {
			return nil
		}
		x, err := w.begin(t)
		switch {
		case err == nil:
			w.shares.take(t.UserID)
			return x
		case core.CodeOf(err) == core.CodeConflict: // another server was faster
		default:
			e.opts.Logger.ErrorContext(e.ctx, "cannot start task", "task_id", t.ID, "user_id", t.UserID, "error", err)
			return nil
		}
	}
	return nil
}

// next returns the task to execute next, or nil. Tasks of users who hold half of the slots start only if no
// other task waits.
func (w *taskWorker) next() (*core.Task, error) {
	e := w.engine
	half, most := w.shares.over()
	t, err := e.opts.Tasks.NextTask(e.ctx, time.Now().UTC(), half)
	if t != nil || err != nil || len(half) == len(most) {
		return t, err
	}
	return e.opts.Tasks.NextTask(e.ctx, time.Now().UTC(), most)
}

// begin starts an attempt of t. It fails with Conflict if t does not wait any more.
func (w *taskWorker) begin(t *core.Task) (*execution, error) {
	if t.RunID != "" {
		return w.beginAgain(t)
	}
	e := w.engine
	// The creator's permission was checked when the task was created.
	agent, err := e.opts.Agents.Active(e.ctx, core.Actor{UserID: t.UserID, Role: core.RoleAdmin}, t.AgentID)
	if core.CodeOf(err) == core.CodeConflict {
		return nil, w.refuse(t, &sdk.Error{Code: sdk.CodeUnavailable, Message: fmt.Sprintf(
			"Agent %q is inactive. Set its status to active and create the task again.", t.AgentID)})
	}
	if err != nil {
		return nil, err
	}
	from := origin{ctx: context.Background(), agentName: agent.Name, at: time.Now()}
	turn := core.Turn{Agent: agent, SessionID: t.ID, Parts: t.Input, Stream: true}
	r, input := newTurn(core.Actor{UserID: t.UserID}, turn)
	r.Kind, r.TaskID, r.Owner = core.RunTask, t.ID, e.opts.Owner
	stream := e.opts.Log.Open(r.ID)
	err = stream.Publish(e.ctx, events.TypeStart, startEvent(r), func(rows []core.EventRow) error {
		return e.opts.Runs.StartRun(e.ctx, nil, core.RunStart{Run: r, Input: input, Task: t, Events: rows})
	})
	var tooLarge *core.Error
	if errors.As(err, &tooLarge) && tooLarge.Code == core.CodePayloadTooLarge {
		return nil, w.refuse(t, &sdk.Error{Code: sdk.CodeNoSpace, Message: tooLarge.Message})
	}
	if err != nil {
		return nil, err
	}
	e.opts.Metrics.TaskBegun(t.Priority, from.at.Sub(t.RunAt))
	x := e.add(from, state{run: r, input: input, task: t, stream: stream})
	t.Attempts++
	return x, nil
}

// refuse ends t with failure before it has a run. It always returns an error, and Conflict
// if t has ended, so that the caller looks for another task.
func (w *taskWorker) refuse(t *core.Task, failure *sdk.Error) error {
	if err := w.engine.opts.Tasks.FailTask(w.engine.ctx, t.ID, time.Now().UTC(), failure); err != nil {
		return err
	}
	return core.Conflict("Task %q has ended.", t.ID).WithObject("task", t.ID)
}

// beginAgain starts the next attempt of a task that was deferred.
func (w *taskWorker) beginAgain(t *core.Task) (*execution, error) {
	e := w.engine
	r, err := e.opts.Tasks.ResumeTask(e.ctx, t, e.opts.Owner, time.Now().UTC())
	if err != nil {
		return nil, err
	}
	var x *execution
	err = e.retry.Do(e.ctx, func(ctx context.Context) (err error) {
		x, err = e.restore(ctx, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	x.deferred = true
	return x, nil
}
