package run

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run/journal"
)

// maxBackoff is the longest pause before the next attempt of a task.
const maxBackoff = 5 * time.Minute

// backoff computes the pause before the next attempt of a task. Its value is the first
// pause.
type backoff time.Duration

// after returns the pause after that many attempts, with jitter. It is at least retryAfter.
func (b backoff) after(attempts int, retryAfter time.Duration) time.Duration {
	pause := time.Duration(b) << min(attempts-1, 16)
	pause = min(max(pause, retryAfter), max(maxBackoff, retryAfter))
	return pause + rand.N(pause/5+1) //nolint:gosec // the jitter is not a secret
}

// taskEnd returns how a task ends with its run.
func taskEnd(r *core.Run, answer *core.Message) *core.TaskEnd {
	end := &core.TaskEnd{ID: r.TaskID, Status: core.TaskFailed, Error: r.Error}
	switch r.Status { //nolint:exhaustive // the other statuses are failures
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

// taskResult returns the result of a task, as the API shows it, from its final message.
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
	return journal.Marshal(struct {
		Message   string `json:"message"`
		MessageID string `json:"message_id"`
		Files     []file `json:"files,omitempty"`
	}{m.SDK().Text(), m.ID, files})
}

// CancelTask implements core.Runner.
func (e *Engine) CancelTask(
	ctx context.Context, audit *core.AuditRecord, v core.Actor, taskID string,
) (*core.Task, error) {
	t, err := e.opts.Tasks.CancelTask(ctx, audit, v, taskID, time.Now().UTC())
	if err != nil || t.Status.Ended() {
		return t, err
	}
	if err := e.active.cancelAndWait(ctx, t.RunID); err != nil {
		return nil, err
	}
	return e.opts.Tasks.Task(ctx, v, taskID)
}

// WatchTask implements core.Runner.
func (e *Engine) WatchTask(ctx context.Context, v core.Actor, taskID string, after int64) (core.EventStream, error) {
	if _, err := e.opts.Tasks.Task(ctx, v, taskID); err != nil {
		return nil, err
	}
	return &taskWatch{engine: e, actor: v, taskID: taskID, after: after}, nil
}

// taskWatch waits until a task has a run, and then returns the events of the run.
type taskWatch struct {
	engine *Engine
	actor  core.Actor
	taskID string
	after  int64
	run    core.EventStream
}

// taskPollInterval is the interval at which a watcher checks whether the task has a run.
const taskPollInterval = 250 * time.Millisecond

// Next implements core.EventStream.
func (w *taskWatch) Next(ctx context.Context) ([]core.Event, error) {
	for w.run == nil {
		t, err := w.engine.opts.Tasks.Task(ctx, w.actor, w.taskID)
		if err != nil {
			return nil, err
		}
		if t.RunID == "" && t.Status.Ended() {
			return nil, io.EOF
		}
		if t.RunID == "" {
			select {
			case <-time.After(taskPollInterval):
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			continue
		}
		if w.run, err = w.engine.Watch(ctx, w.actor, t.RunID, w.after); err != nil {
			return nil, err
		}
	}
	return w.run.Next(ctx)
}
