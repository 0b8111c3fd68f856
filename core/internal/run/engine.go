package run

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/core/internal/run/hostcall"
	"github.com/agentarea/agentarea/core/internal/run/journal"
	"github.com/agentarea/agentarea/core/internal/run/suspect"
	"github.com/agentarea/agentarea/sdk/agent"
)

// Plugins finds the plugins that a run needs.
type Plugins interface {
	// Agent returns the agent type with that label. It waits a short time while the plugin
	// is starting, and then fails with Unavailable.
	Agent(ctx context.Context, label string) (agent.Runner, error)

	hostcall.Providers
}

// Toolbox provides the tools of a run's agent.
type Toolbox = hostcall.Toolbox

// Agents finds the agents of tasks.
type Agents interface {
	// Active fails with Conflict if the agent is inactive.
	Active(ctx context.Context, v core.Actor, id string) (*core.Agent, error)
}

// Options are the dependencies and settings of an Engine.
type Options struct {
	Runs     core.RunStore
	Tasks    core.TaskStore
	Agents   Agents
	Messages core.MessageStore
	Log      *events.Log
	Plugins  Plugins
	Logger   *slog.Logger
	// Owner identifies this server process in leases.
	Owner string

	// Queue announces tasks. Without it, the engine executes no tasks.
	Queue core.TaskQueue
	// Wakeups deliver cancel requests from other servers immediately. Without them, a cancel
	// request waits for the next renewal of the lease.
	Wakeups core.Wakeups
	// Toolbox is optional.
	Toolbox Toolbox
	// Files and FileStore are optional. Without them, no files can be read or written.
	Files     hostcall.FileContent
	FileStore hostcall.FileStore
	// Metrics and Tracer are optional.
	Metrics Metrics
	Tracer  trace.Tracer
	// TaskSlots is the number of tasks executed concurrently. The default is 8.
	TaskSlots int
	// TaskTimeout is the timeout of an attempt of a task if neither the task nor its agent sets one. The
	// default is 10 minutes.
	TaskTimeout time.Duration
	Times       Times
}

// Times are the engine's intervals. Zero selects the default.
type Times struct {
	// Renew is the interval between renewals of the lease and searches for runs whose owner
	// has crashed. The default is 5 s.
	Renew time.Duration
	// Lease is the time for which a server owns its runs after a renewal. The default is 20 s.
	Lease time.Duration
	// Retry is the first pause after a failed write. The default is 100 ms; it doubles up
	// to 2 s.
	Retry time.Duration
	// Backoff is the first pause before the next attempt of a task. The default is 1 s; it
	// doubles up to 5 min.
	Backoff time.Duration
}

// claimLimit is the maximum number of runs that one renewal of the lease takes over.
const claimLimit = 100

// Engine executes runs. It implements core.Runner.
type Engine struct {
	opts     Options
	retry    journal.Retry
	services *hostcall.Services
	suspects suspect.List
	active   activeRuns
	lease    lease
	tasks    *taskWorker

	// ctx ends when the engine abandons its runs.
	ctx     context.Context
	abandon context.CancelCauseFunc
	// stopLoops ends the goroutines that renew the lease and look for tasks.
	stopLoops func()
	loops     sync.WaitGroup
}

// New returns an Engine, which Start starts.
func New(o Options) *Engine {
	o.Times.Renew = cmp.Or(o.Times.Renew, 5*time.Second)
	o.Times.Lease = cmp.Or(o.Times.Lease, 20*time.Second)
	o.Times.Retry = cmp.Or(o.Times.Retry, 100*time.Millisecond)
	o.Times.Backoff = cmp.Or(o.Times.Backoff, time.Second)
	o.TaskSlots = cmp.Or(o.TaskSlots, 8)
	o.TaskTimeout = cmp.Or(o.TaskTimeout, defaultTimeout)
	if o.Toolbox == nil {
		o.Toolbox = hostcall.NoTools{}
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	if o.Tracer == nil {
		o.Tracer = noop.Tracer{}
	}
	e := &Engine{
		opts:  o,
		retry: journal.Retry{Logger: o.Logger, Pause: o.Times.Retry},
		services: &hostcall.Services{
			Providers: o.Plugins, Metrics: o.Metrics, Tracer: o.Tracer, RetryPause: o.Times.Retry,
		},
		active: activeRuns{byID: map[string]*execution{}},
	}
	e.services.Suspects = &e.suspects
	e.services.LeaseExpired = e.lease.expired
	e.tasks = newTaskWorker(e)
	e.ctx, e.abandon = context.WithCancelCause(context.Background())
	return e
}

// Start acquires the lease and resumes runs that were interrupted. It keeps looking for
// such runs, and for tasks, until Close.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.renew(ctx); err != nil {
		return err
	}
	loop, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stopLoops = stop
	if e.opts.Wakeups != nil {
		unsubscribe := e.opts.Wakeups.Subscribe(func(w core.Wakeup) {
			if w.Topic == core.TopicCancel {
				e.active.cancel(w.ID)
			}
		})
		e.stopLoops = func() {
			unsubscribe()
			stop()
		}
	}
	e.loops.Go(func() { e.renewLoop(loop) })
	return e.tasks.start(ctx, loop)
}

// Close refuses new runs and waits for those in progress until ctx ends. It abandons the
// rest, so that another server resumes them.
func (e *Engine) Close(ctx context.Context) error {
	e.active.drain()
	e.tasks.stop(ctx)
	idle := make(chan struct{})
	go func() {
		e.active.wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	e.abandon(errStopping)
	<-idle
	if e.stopLoops != nil {
		e.stopLoops()
	}
	e.loops.Wait()
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return e.opts.Runs.ReleaseLease(release, e.opts.Owner)
}

func (e *Engine) renewLoop(ctx context.Context) {
	ticker := time.NewTicker(e.opts.Times.Renew)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := e.renew(ctx); err != nil && ctx.Err() == nil {
			e.opts.Logger.ErrorContext(ctx, "cannot renew lease", "owner", e.opts.Owner, "error", err)
		}
	}
}

// renew renews the lease of this server, takes over the runs of crashed servers, and
// executes cancel requests from other servers.
func (e *Engine) renew(ctx context.Context) error {
	now := time.Now().UTC()
	lapsed := e.lease.acquired() && e.lease.expired()
	if err := e.opts.Runs.RenewLease(ctx, e.opts.Owner, now.Add(e.opts.Times.Lease)); err != nil {
		return err
	}
	if lapsed {
		if err := e.abandonLost(ctx); err != nil {
			return err
		}
	}
	e.lease.extend(now.Add(e.opts.Times.Lease))
	if !e.active.admit() {
		return nil
	}
	defer e.active.release()
	runs, err := e.opts.Runs.ClaimRuns(ctx, e.opts.Owner, now, claimLimit)
	if err != nil {
		return err
	}
	for _, r := range runs {
		e.active.start(func() { e.resume(r) })
	}
	ids, err := e.opts.Runs.CancelRequests(ctx, e.opts.Owner)
	if err != nil {
		return err
	}
	for _, id := range ids {
		e.active.cancel(id)
	}
	return nil
}

// resume executes a run that was claimed from another server.
func (e *Engine) resume(r *core.Run) {
	logger := e.opts.Logger.With("run_id", r.ID, "attempt", r.Attempt)
	retry := journal.Retry{Logger: logger, Pause: e.opts.Times.Retry}
	var x *execution
	err := retry.Do(e.ctx, func(ctx context.Context) (err error) {
		x, err = e.restore(ctx, r)
		return err
	})
	if err != nil {
		logger.ErrorContext(e.ctx, "cannot resume run", "error", err)
		return
	}
	logger.InfoContext(x.settler.base, "resuming run")
	defer e.remove(x)
	x.resume()
	<-x.settler.done
}

// restore returns the execution of a run from its stored state.
func (e *Engine) restore(ctx context.Context, r *core.Run) (*execution, error) {
	input, err := e.opts.Messages.Message(ctx, r.InputID)
	if err != nil {
		return nil, err
	}
	calls, err := e.opts.Runs.Calls(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	var task *core.Task
	if r.TaskID != "" {
		if task, err = e.opts.Tasks.Task(ctx, core.Actor{UserID: r.UserID}, r.TaskID); err != nil {
			return nil, err
		}
	}
	stream, err := e.opts.Log.Reopen(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	from := origin{ctx: context.Background(), at: time.Now()}
	return e.add(from, state{run: r, input: input, task: task, stream: stream, calls: calls}), nil
}

// origin describes the request or task that started a run.
type origin struct {
	// ctx is the context of the request that started the run; the run continues its trace
	// and its request ID. It is empty for a task and for a run of another server.
	ctx context.Context
	// agentName is empty if it is unknown.
	agentName string
	at        time.Time
}

// state is the initial state of an execution.
type state struct {
	run    *core.Run
	input  *core.Message
	task   *core.Task // nil for a chat turn
	stream *events.Stream
	// calls are the calls recorded by earlier attempts.
	calls []*core.Call
}

// add returns a new execution and adds it to the active runs.
func (e *Engine) add(from origin, s state) *execution {
	o := &e.opts
	span := startRunSpan(o.Tracer, from, s.run)
	base := core.WithLogFields(trace.ContextWithSpan(e.ctx, span), core.LogFields{
		RequestID: core.LogFieldsFromContext(from.ctx).RequestID, RunID: s.run.ID, UserID: s.run.UserID,
	})
	ctx, stop := context.WithCancelCause(base)
	files := hostcall.NewFiles(s.run, o.FileStore, o.Files)
	steps := hostcall.NewSteps(s.input.SDK())
	// The config was validated when the agent was stored. Fields that cannot be decoded are zero.
	config, _ := core.ParseAgentConfig(s.run.Config)
	tools := hostcall.NewFileTools(o.Toolbox, files, config.Tools)
	tools.Restore(s.calls)
	x := &execution{
		run: s.run, input: s.input, task: s.task, config: config,
		agents: o.Plugins, suspects: &e.suspects, messages: o.Messages, retry: e.retry, logger: o.Logger,
		taskTimeout: o.TaskTimeout,
		journal: journal.New(journal.Options{
			Context: base, Retry: e.retry, Run: s.run, Store: o.Runs, Stream: s.stream, Recorded: s.calls,
		}),
		files:  files,
		output: output{stream: s.stream, metrics: o.Metrics, kind: s.run.Kind, start: from.at},
		span:   span, start: from.at,
	}
	x.settler = settler{
		run: s.run, task: s.task, journal: x.journal, output: &x.output, files: files, steps: steps,
		tasks: o.Tasks, backoff: backoff(o.Times.Backoff), logger: o.Logger,
		base: base, ctx: ctx, stop: stop, done: make(chan struct{}), outcome: outcomeAbandoned,
	}
	x.calls = hostcall.New(e.services, hostcall.Scope{
		Run: s.run, Journal: x.journal, Recorder: &x.settler, Settler: &x.settler, Output: &x.output,
		Files: files, Steps: steps, Tools: tools, Logger: o.Logger,
	})
	o.Metrics.RunStarted(s.run.Kind)
	e.active.add(x)
	return x
}

// remove removes a settled execution.
func (e *Engine) remove(x *execution) {
	x.settler.stop(nil)
	endRunSpan(x.span, x.settler.outcome, x.settler.final)
	e.opts.Metrics.RunEnded(x.run.Kind, x.settler.outcome, time.Since(x.start))
	e.active.remove(x)
}
