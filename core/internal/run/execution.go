package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run/hostcall"
	"github.com/agentarea/agentarea/core/internal/run/journal"
	"github.com/agentarea/agentarea/core/internal/run/suspect"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

const (
	// historyLimit is the maximum number of earlier messages that a run receives.
	historyLimit = 100
	// restartTimeout is the maximum time that a restarted run waits for its agent type.
	restartTimeout = 30 * time.Second
	// defaultTimeout is the timeout of a chat turn whose config does not set one.
	defaultTimeout = 10 * time.Minute
	// maxRunAttempts is the number of starts after which a run is not started again. It is then interrupted
	// if the server crashed, and failed if its plugin did.
	maxRunAttempts = 5
)

// maxAttempts returns the maximum number of attempts of a run. The run of a task, which may be nil,
// is started once more for each attempt of the task.
func maxAttempts(task *core.Task) int {
	if task != nil {
		return maxRunAttempts + task.MaxAttempts
	}
	return maxRunAttempts
}

// agentTypes finds the plugins of agent types.
type agentTypes interface {
	Agent(ctx context.Context, label string) (agent.Runner, error)
}

// messageHistory reads earlier messages. core.MessageStore implements it.
type messageHistory interface {
	HistoryBefore(
		ctx context.Context, sessionKey, messageID string, limit int,
	) (messages []*core.Message, more bool, err error)
}

// execution executes one run on this server.
type execution struct {
	run   *core.Run
	input *core.Message
	task  *core.Task // nil for a chat turn
	// config is the config of the agent when the run was created.
	config core.AgentConfig
	// deferred reports whether the task has waited for this attempt.
	deferred bool
	// taskTimeout is the timeout of a task that has none of its own, nor one of its agent.
	taskTimeout time.Duration

	agents   agentTypes
	suspects *suspect.List
	messages messageHistory
	retry    journal.Retry
	logger   *slog.Logger

	journal *journal.Journal
	files   *hostcall.Files
	output  output
	settler settler
	calls   agent.Handler
	// waiting reports whether a host call was in progress when the attempt ended.
	waiting atomic.Bool

	span  trace.Span
	start time.Time
}

// resume continues a run that was interrupted by a crash of its server.
func (x *execution) resume() {
	if x.run.CancelRequested {
		x.settler.stop(errCancelled)
	}
	if x.run.Attempt >= maxAttempts(x.task) {
		x.settler.finish(core.RunInterrupted, nil, &sdk.Error{
			Code: sdk.CodeInternal, Message: "The run was interrupted by crashes too often and is not restarted.",
		})
		return
	}
	if err := x.settler.restart(); err != nil {
		x.settler.abandon(err)
		return
	}
	x.execute()
}

// execute runs the agent's loop, and starts it again when its plugin crashes. The run may
// still be settled concurrently when execute returns: wait for settler.done.
func (x *execution) execute() {
	defer context.AfterFunc(x.settler.ctx, x.settler.onContextDone)()
	defer x.startTimeout()()
	history, err := x.history()
	if err != nil {
		x.settler.Fail(err)
		return
	}
	x.files.AddMessages(history...)
	x.files.AddMessages(x.input.SDK())
	for {
		answer, err := x.attempt(history)
		switch {
		case x.settler.Settled():
			return
		case err == nil && answer == nil:
			x.settler.Fail(&sdk.Error{
				Code: sdk.CodeInternal, Message: fmt.Sprintf("Agent type %q ended the run without an answer.", x.run.AgentType),
			})
			return
		case err == nil:
			x.settler.finish(core.RunCompleted, answer, nil)
			return
		case !errors.Is(err, agent.ErrPluginCrashed) || x.run.Attempt >= maxAttempts(x.task):
			x.settler.Fail(err)
			return
		case x.isGuilty(err):
			x.settler.Fail(&sdk.Error{Code: sdk.CodeInternal, Message: fmt.Sprintf(
				"Agent type %q crashed each time it executed this run, so the run is not repeated.", x.run.AgentType)})
			return
		}
		x.logger.WarnContext(x.settler.base, "restarting run after crash of agent plugin", "error", err)
		if err := x.settler.restart(); err != nil {
			x.settler.abandon(err)
			return
		}
	}
}

// attempt runs the agent's loop once.
func (x *execution) attempt(history []sdk.Message) (*sdk.Message, error) {
	plugin, err := x.plugin()
	if err != nil {
		return nil, err
	}
	x.waiting.Store(false)
	return x.isolate(plugin).Run(x.settler.ctx, &agent.Run{
		ID: x.run.ID, AgentID: x.run.AgentID, SessionID: x.run.SessionID, Config: x.run.Config,
		History: history, Input: x.input.SDK(), Time: x.run.CreatedAt, Seed: x.run.Seed,
	}, x)
}

// isolator is an agent type that can execute a run in a process of its own. If that is not possible, it
// executes the run in the shared process, or fails with Unavailable if must is true.
type isolator interface {
	Isolated(userID string, must bool) agent.Runner
}

// isolate returns the agent type for the next attempt of the run.
func (x *execution) isolate(r agent.Runner) agent.Runner {
	verdict := x.suspects.Verdict(x.pluginName(), x.run)
	if i, ok := r.(isolator); ok && verdict != suspect.Innocent {
		return i.Isolated(x.run.UserID, verdict == suspect.Guilty)
	}
	return r
}

// Handle implements agent.Handler.
func (x *execution) Handle(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	result, err := x.calls.Handle(ctx, call)
	if ctx.Err() != nil {
		x.waiting.Store(true)
	}
	return result, err
}

// isGuilty records a crash of the agent type and reports whether the run caused it. A run that was waiting for
// a host call is not suspected of a crash of a process with other runs.
func (x *execution) isGuilty(err error) bool {
	var crash *core.PluginCrash
	if !errors.As(err, &crash) || x.waiting.Load() && !crash.Alone {
		return false
	}
	return x.suspects.Crashed(x.pluginName(), x.run, crash.Alone)
}

func (x *execution) pluginName() string { return agent.Kind + "/" + x.run.AgentType }

// plugin returns the plugin of the agent type. A run that is started again waits longer
// for the plugin than a new one.
func (x *execution) plugin() (agent.Runner, error) {
	ctx := x.settler.ctx
	deadline := time.Now().Add(restartTimeout)
	for {
		plugin, err := x.agents.Agent(ctx, x.run.AgentType)
		if err == nil || x.run.Attempt == 1 || core.CodeOf(err) != core.CodeUnavailable || time.Now().After(deadline) {
			return plugin, err
		}
		select {
		case <-time.After(x.retry.Pause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// history returns the messages before the input, oldest first, each answer after the tool calls that led to it.
// It leaves out the oldest messages if there are more than historyLimit, or if they exceed core.MaxPageBytes.
func (x *execution) history() ([]sdk.Message, error) {
	var stored []*core.Message
	var truncated bool
	err := x.retry.Do(x.settler.ctx, func(ctx context.Context) (err error) {
		stored, truncated, err = x.messages.HistoryBefore(ctx, x.run.SessionKey, x.run.InputID, historyLimit)
		return err
	})
	x.settler.historyTruncated.Store(truncated)
	history := make([]sdk.Message, 0, len(stored))
	for _, m := range stored {
		history = append(history, m.Steps...)
		history = append(history, m.SDK())
	}
	return history, err
}

// startTimeout starts the timer that ends the run after its timeout. The result stops it.
func (x *execution) startTimeout() (stop func()) {
	timeout := x.timeout()
	timer := time.AfterFunc(timeout, func() { x.settler.stop(timeoutError{timeout}) })
	return func() { timer.Stop() }
}

// timeout returns the timeout of the task, or else that of the agent's config, or else the default.
func (x *execution) timeout() time.Duration {
	if x.task != nil {
		return cmp.Or(x.task.Timeout, x.config.Timeout, x.taskTimeout)
	}
	return cmp.Or(x.config.Timeout, defaultTimeout)
}
