package run

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

const (
	// historyLimit is how many earlier messages a run is given at the most.
	historyLimit = 100
	// restartPatience is how long a run that was cut waits for its agent type.
	restartPatience = 30 * time.Second
	// defaultTimeout is how long a run may take unless its config says otherwise.
	defaultTimeout = 10 * time.Minute
)

// execution is a run that is executed here.
type execution struct {
	engine *Engine
	run    *core.Run
	input  *core.Message
	stream *events.Stream
	log    *slog.Logger
	// task is what the run is of; nil for a chat turn. resumed says that it waited
	// for another attempt.
	task    *core.Task
	resumed bool
	files   conversation
	// toolbox is the engine's, with the tools for files.
	toolbox *fileTools

	// base ends with the engine's work, and carries the run's span and the fields of
	// its lines in the log.
	base context.Context
	span trace.Span
	// ctx ends when the run is cancelled, takes too long, has ended, or the
	// engine stops; its cause says which.
	ctx  context.Context
	stop context.CancelCauseFunc

	mu sync.Mutex
	// recorded are the calls that are stored, by number.
	recorded map[uint64]*core.Call
	usage    sdk.Usage
	// partial is the text that was forwarded since the last recorded call.
	partial strings.Builder
	// shown says that a token was.
	shown bool
	// ending is set by whoever ends the run, once.
	ending bool

	// done is closed when the run has ended or is lost; then answer or failure
	// is set, unless it is lost.
	done    chan struct{}
	answer  *core.Message
	failure error

	begun time.Time
	// outcome is how the run ended here, and final its end if it has one.
	outcome string
	final   *core.Run
}

// resume goes on with a run that was cut by a crash of its server.
func (x *execution) resume() {
	if x.run.CancelRequested {
		x.stop(errCancelled)
	}
	if x.run.Attempt >= x.maxAttempts() {
		x.finish(core.RunInterrupted, nil, &sdk.Error{
			Code: sdk.CodeInternal, Message: "the run was cut by a crash too often and is not started again",
		})
		return
	}
	if err := x.restart(); err != nil {
		x.lose(err)
		return
	}
	x.execute()
}

// maxAttempts is how often the run may be started: a task is started once more for
// each attempt.
func (x *execution) maxAttempts() int {
	if x.task != nil {
		return maxAttempts + x.task.MaxAttempts
	}
	return maxAttempts
}

// execute starts the run's loop, and starts it again when its plugin dies.
func (x *execution) execute() {
	defer context.AfterFunc(x.ctx, x.cut)()
	defer x.limit()()
	history, err := x.history()
	if err != nil {
		x.fail(err)
		return
	}
	x.files.add(history...)
	x.files.add(x.input.SDK())
	for {
		answer, err := x.attempt(history)
		switch {
		case x.ended():
			return
		case err == nil && answer == nil:
			x.fail(&sdk.Error{Code: sdk.CodeInternal, Message: "the agent type ended the run without an answer"})
			return
		case err == nil:
			x.complete(answer)
			return
		case !errors.Is(err, agent.ErrPluginCrashed) || x.run.Attempt >= x.maxAttempts():
			x.fail(err)
			return
		}
		x.log.WarnContext(x.base, "agent plugin died: the run is started again", "error", err)
		if err := x.restart(); err != nil {
			x.lose(err)
			return
		}
	}
}

// attempt runs the loop once.
func (x *execution) attempt(history []sdk.Message) (*sdk.Message, error) {
	plugin, err := x.plugin()
	if err != nil {
		return nil, err
	}
	return plugin.Run(x.ctx, &agent.Run{
		ID: x.run.ID, AgentID: x.run.AgentID, SessionID: x.run.SessionID, Config: x.run.Config,
		History: history, Input: x.input.SDK(), Time: x.run.CreatedAt, Seed: x.run.Seed,
	}, x)
}

// plugin finds the agent type's process. A run that is started again has more
// patience with a plugin that comes back than a new one.
func (x *execution) plugin() (agent.Runner, error) {
	patience := time.Now().Add(restartPatience)
	for {
		plugin, err := x.engine.Plugins.Agent(x.ctx, x.run.AgentType)
		if err == nil || x.run.Attempt == 1 || core.CodeOf(err) != core.CodeUnavailable || time.Now().After(patience) {
			return plugin, err
		}
		select {
		case <-time.After(x.engine.Times.Retry):
		case <-x.ctx.Done():
			return nil, context.Cause(x.ctx)
		}
	}
}

func (x *execution) history() ([]sdk.Message, error) {
	var stored []*core.Message
	err := x.engine.retry(x.ctx, x.log, func(ctx context.Context) (err error) {
		stored, err = x.engine.Messages.HistoryBefore(ctx, x.run.SessionKey, x.run.InputID, historyLimit)
		return err
	})
	history := make([]sdk.Message, len(stored))
	for i, m := range stored {
		history[i] = m.SDK()
	}
	return history, err
}

// limit ends the run when its time is over. The result undoes that.
func (x *execution) limit() func() {
	var config struct {
		TimeoutSeconds int64 `json:"timeout_seconds"`
	}
	timeout := defaultTimeout
	if x.task != nil && x.task.Timeout > 0 {
		timeout = x.task.Timeout
	} else if err := json.Unmarshal(x.run.Config, &config); err == nil && config.TimeoutSeconds > 0 {
		timeout = time.Duration(config.TimeoutSeconds) * time.Second
	}
	timer := time.AfterFunc(timeout, func() { x.stop(timeoutError{timeout}) })
	return func() { timer.Stop() }
}

// restart records that the run starts once more, and tells the watchers which
// part of the answer is void.
func (x *execution) restart() error {
	x.partial.Reset()
	after, void := x.stream.Partial()
	if !void {
		return x.persist(func(ctx context.Context) error { return x.engine.Runs.RetryRun(ctx, x.run, nil) })
	}
	return x.publish(events.TypeRestart, restartEvent(x.run, after), func(ctx context.Context, rows []core.EventRow) error {
		return x.engine.Runs.RetryRun(ctx, x.run, rows)
	})
}

// persist stores something, for as long as it takes: a write that was begun
// does not end with the run's context, only with the engine's.
func (x *execution) persist(do func(context.Context) error) error {
	return x.engine.retry(x.base, x.log, do)
}

// publish stores an event together with what belongs to it, and shows it.
func (x *execution) publish(typ string, data json.RawMessage, store func(context.Context, []core.EventRow) error) error {
	return x.stream.Publish(x.base, typ, data, func(rows []core.EventRow) error {
		return x.persist(func(ctx context.Context) error { return store(ctx, rows) })
	})
}

func (x *execution) ended() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.ending
}

// cut ends a run whose context has ended, as the cause wants it.
func (x *execution) cut() {
	cause := context.Cause(x.ctx)
	var timeout timeoutError
	switch {
	case errors.Is(cause, errCancelled):
		x.finish(core.RunCancelled, x.partialAnswer(), nil)
	case errors.As(cause, &timeout):
		x.finish(core.RunFailed, nil, toSDK(timeout))
	case errors.Is(cause, errStopping):
		x.lose(cause)
	}
}

// partialAnswer is what was said until the run was cancelled: nil for nothing.
func (x *execution) partialAnswer() *sdk.Message {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.partial.Len() == 0 {
		return nil
	}
	m := sdk.Text(sdk.RoleAssistant, x.partial.String())
	return &m
}

// complete ends the run with the loop's answer.
func (x *execution) complete(answer *sdk.Message) { x.finish(core.RunCompleted, answer, nil) }

// fail ends the run without an answer, or as the end of its context wants it.
func (x *execution) fail(err error) {
	if x.ctx.Err() != nil {
		x.cut()
		return
	}
	x.log.WarnContext(x.base, "run failed", "error", err)
	if x.retryLater(toSDK(err)) {
		return
	}
	x.finish(core.RunFailed, nil, toSDK(err))
}

func (x *execution) finish(status core.RunStatus, answer *sdk.Message, failure *sdk.Error) {
	_ = x.end(ending{status: status, answer: answer, failure: failure})
}
