package run

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

// Plugins finds the processes that a run needs.
type Plugins interface {
	// Agent gives the agent type of that label. It waits a little while the
	// plugin is being started, and fails with Unavailable after that.
	Agent(ctx context.Context, label string) (agent.Runner, error)
	// Provider gives the provider that serves a model and the model's name
	// there. It waits and fails as Agent does, and with Invalid for a model
	// that nobody serves.
	Provider(ctx context.Context, model string) (label, name string, p llm.Provider, err error)
	// Lacks says that a model's provider lists it with capabilities, and this one
	// is not among them. What is not known is not lacking.
	Lacks(ctx context.Context, model, capability string) bool
}

// Toolbox holds the tools of a run's agent.
type Toolbox interface {
	Tools(ctx context.Context, run *core.Run) ([]sdk.Tool, error)
	// Call calls one tool. What the tool itself reports as a failure is a result.
	// A call that is repeated after a crash has the number that it had.
	Call(ctx context.Context, run *core.Run, number uint64, call sdk.ToolCall) (*sdk.ToolResult, error)
}

// Agents finds the agents of tasks.
type Agents interface {
	Agent(ctx context.Context, v core.Actor, id string) (*core.Agent, error)
}

// Options are what an Engine is made of. Toolbox, Metrics, Tracer and Times may be left out, and
// Files and FileStore too: then no file can be read or written. Without Queue no
// tasks are worked on, and without Wakeups a cancel that was asked of another
// server waits for the next renewal of the lease.
type Options struct {
	Runs   core.RunStore
	Tasks  core.TaskStore
	Queue  core.TaskQueue
	Agents Agents
	// Wakeups tell at once of a cancel that was asked of another server.
	Wakeups  core.Wakeups
	Messages core.MessageStore
	Log      *events.Log
	Plugins  Plugins
	Toolbox  Toolbox
	// Files and FileStore are for the files that conversations name.
	Files     core.Files
	FileStore core.FileStore
	// Metrics counts, and Tracer makes the spans.
	Metrics Metrics
	Tracer  trace.Tracer
	Logger  *slog.Logger
	// Owner names this server's life in leases.
	Owner string
	// TaskSlots is how many tasks are worked on at once (8).
	TaskSlots int
	Times     Times
}

// Times are the engine's intervals; zero is the default.
type Times struct {
	// Renew is how often the lease is renewed and orphaned runs are looked for (5 s).
	Renew time.Duration
	// Lease is how long a server's runs stay its own without renewal (20 s).
	Lease time.Duration
	// Retry is the first pause after a write that failed (100 ms); it doubles to 2 s.
	Retry time.Duration
	// Backoff is the first pause before a task is tried again (1 s); it doubles to 5 min.
	Backoff time.Duration
}

// maxAttempts is how often a run is started before it counts as interrupted.
const maxAttempts = 5

// Engine executes runs. It implements core.Runner.
type Engine struct {
	Options

	// ctx ends when the engine stops and leaves its runs to others.
	ctx   context.Context
	leave context.CancelCauseFunc
	// loop ends the renewal of the lease.
	loop    context.CancelFunc
	looping sync.WaitGroup

	mu     sync.Mutex
	active map[string]*execution
	// closing refuses new turns.
	closing bool
	running sync.WaitGroup

	tasks taskWork
}

var errStopping = errors.New("the server is stopping")

// New makes an engine. Start begins its work.
func New(o Options) *Engine {
	o.Times.Renew = orDefault(o.Times.Renew, 5*time.Second)
	o.Times.Lease = orDefault(o.Times.Lease, 20*time.Second)
	o.Times.Retry = orDefault(o.Times.Retry, 100*time.Millisecond)
	if o.Toolbox == nil {
		o.Toolbox = noTools{}
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	if o.Tracer == nil {
		o.Tracer = noop.Tracer{}
	}
	o.Times.Backoff = orDefault(o.Times.Backoff, time.Second)
	if o.TaskSlots == 0 {
		o.TaskSlots = 8
	}
	e := &Engine{Options: o, active: map[string]*execution{}}
	e.tasks.slots = make(chan struct{}, o.TaskSlots)
	e.ctx, e.leave = context.WithCancelCause(context.Background())
	return e
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// Start takes the lease, takes up the runs that were cut, and goes on looking
// for such runs until Close.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.renew(ctx); err != nil {
		return err
	}
	loop, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.loop = stop
	if e.Wakeups != nil {
		unsubscribe := e.Wakeups.Subscribe(func(s core.Wakeup) {
			if s.Topic == core.TopicCancel {
				e.cancelHere(s.ID)
			}
		})
		e.loop = func() {
			unsubscribe()
			stop()
		}
	}
	e.looping.Go(func() {
		ticker := time.NewTicker(e.Times.Renew)
		defer ticker.Stop()
		for {
			select {
			case <-loop.Done():
				return
			case <-ticker.C:
			}
			if err := e.renew(loop); err != nil && loop.Err() == nil {
				e.Logger.ErrorContext(loop, "lease not renewed", "error", err)
			}
		}
	})
	return e.startTasks(loop)
}

// Close refuses new turns, gives those under way until ctx ends, and leaves the
// rest as they stand, to be taken up by the next server.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closing = true
	e.mu.Unlock()
	e.stopTasks(ctx)
	idle := make(chan struct{})
	go func() {
		e.running.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	e.leave(errStopping)
	<-idle
	if e.loop != nil {
		e.loop()
	}
	e.looping.Wait()
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return e.Runs.ReleaseLease(release, e.Owner)
}

// renew keeps this server's runs its own, takes up those of dead servers, and
// carries out cancels that were asked of another server.
func (e *Engine) renew(ctx context.Context) error {
	now := time.Now().UTC()
	if err := e.Runs.RenewLease(ctx, e.Owner, now.Add(e.Times.Lease)); err != nil {
		return err
	}
	if !e.admit() {
		return nil
	}
	defer e.running.Done()
	runs, err := e.Runs.ClaimRuns(ctx, e.Owner, now, 100)
	if err != nil {
		return err
	}
	for _, r := range runs {
		e.running.Go(func() { e.takeUp(r) })
	}
	ids, err := e.Runs.CancelRequests(ctx, e.Owner)
	if err != nil {
		return err
	}
	for _, id := range ids {
		e.cancelHere(id)
	}
	return nil
}

// admit counts work that begins, unless the engine is closing.
func (e *Engine) admit() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing {
		return false
	}
	e.running.Add(1)
	return true
}

// takeUp goes on with a run that was cut, or whose task's turn it is.
func (e *Engine) takeUp(r *core.Run) {
	log := e.Logger.With("run_id", r.ID, "attempt", r.Attempt)
	var x *execution
	err := e.retry(e.ctx, log, func(ctx context.Context) (err error) {
		x, err = e.restore(ctx, r)
		return err
	})
	if err != nil {
		log.ErrorContext(e.ctx, "run not taken up", "error", err)
		return
	}
	log.InfoContext(x.base, "run taken up")
	defer e.retire(x)
	x.resume()
	<-x.done
}

// retry does something with the database, and does it again after a pause, for
// as long as the database is away.
func (e *Engine) retry(ctx context.Context, log *slog.Logger, do func(context.Context) error) error {
	pause := e.Times.Retry
	for {
		err := do(ctx)
		if err == nil || core.CodeOf(err) != core.CodeUnavailable {
			return err
		}
		log.ErrorContext(ctx, "the database is away: trying again", "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// restore makes the execution of a run from what is stored of it.
func (e *Engine) restore(ctx context.Context, r *core.Run) (*execution, error) {
	input, err := e.Messages.Message(ctx, r.InputID)
	if err != nil {
		return nil, err
	}
	calls, err := e.Runs.Calls(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	var task *core.Task
	if r.TaskID != "" {
		if task, err = e.Tasks.Task(ctx, core.Actor{UserID: r.UserID}, r.TaskID); err != nil {
			return nil, err
		}
	}
	stream, err := e.Log.Reopen(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	x := e.execution(origin{ctx: context.Background(), at: time.Now()}, r, input, stream)
	x.task = task
	for _, c := range calls {
		x.recorded[c.Number] = c
		x.usage = x.usage.Add(c.Usage)
		x.recall(c)
	}
	return x, nil
}

// origin is where a run comes from.
type origin struct {
	// ctx is that of the request that made the run, whose trace and id it goes on with; it
	// has none when the run was a task's or another server's.
	ctx context.Context //nolint:containedctx // read once, when the run begins
	// agentName is empty when it is not known any more.
	agentName string
	at        time.Time
}

// execution makes one and enters it among the active ones.
func (e *Engine) execution(from origin, r *core.Run, input *core.Message, stream *events.Stream) *execution {
	x := &execution{
		engine: e, run: r, input: input, stream: stream,
		recorded: map[uint64]*core.Call{}, done: make(chan struct{}),
		log: e.Logger, begun: from.at, outcome: outcomeLeft,
	}
	x.toolbox = newFileTools(x, e.Toolbox)
	x.span = e.beginSpan(from, r)
	x.base = core.WithLogFields(trace.ContextWithSpan(e.ctx, x.span), core.LogFields{
		RequestID: core.LogFieldsFromContext(from.ctx).RequestID, RunID: r.ID, UserID: r.UserID,
	})
	x.ctx, x.stop = context.WithCancelCause(x.base)
	e.Metrics.RunStarted(r.Kind)
	e.mu.Lock()
	e.active[r.ID] = x
	e.mu.Unlock()
	return x
}

// retire forgets an execution that is done.
func (e *Engine) retire(x *execution) {
	x.stop(nil)
	x.endSpan()
	e.Metrics.RunEnded(x.run.Kind, x.outcome, time.Since(x.begun))
	e.mu.Lock()
	delete(e.active, x.run.ID)
	e.mu.Unlock()
}

func (e *Engine) find(id string) *execution {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.active[id]
}

func (e *Engine) cancelHere(id string) {
	if x := e.find(id); x != nil {
		x.stop(errCancelled)
	}
}
