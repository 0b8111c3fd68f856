package pluginhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/core/internal/supervise"
	"github.com/agentarea/agentarea/sdk/plugin"
)

// supervisor keeps the process of one plugin block running. A reload that does
// not change the block passes the supervisor to the next registry.
//
//	starting ──ready──▶ running ──exits──▶ restarting ──ready──▶ running
//	                                         │    ▲
//	                      5 exits in 2 min   ▼    │ after 5 min, or on reload
//	                                        failed
type supervisor struct {
	// block is the block that the supervisor was created for. It has the same hash
	// as source's block.
	block  *config.Block
	timing Timing
	logger *slog.Logger
	// launch starts a process and configures it.
	launch func(context.Context, *supervisor) (*instance, error)
	source atomic.Pointer[source]
	calls  *inflight
	// generation is the generation of the supervisor's first registry. It is set
	// before start.
	generation uint64
	// completions limits concurrent completions by its capacity; nil for no limit.
	completions chan struct{}
	isolation   isolation
	// notifier is optional.
	notifier core.Notifier

	// live is the instance that takes calls; nil if there is none.
	live atomic.Pointer[instance]

	mu          sync.Mutex
	state       core.PluginState
	description plugin.Description
	schema      json.RawMessage
	pid         int
	readyAt     time.Time
	restarts    int
	lastError   string
	// healthError is the problem that a running plugin reports; empty if healthy.
	healthError string
	nextStart   time.Time
	// needsReload reports whether the plugin cannot start before a reload, because its program was changed.
	needsReload bool
	// failedAgain reports whether the last start was made while the circuit was open.
	failedAgain bool
	// program is the file that was started last.
	program program
	// verified is the program of the first process that started. It is nil before.
	verified *binary
	// changed is closed at the next change of state.
	changed chan struct{}

	models modelList

	// wake ends the wait for the next start.
	wake    chan struct{}
	end     context.CancelFunc
	done    chan struct{}
	cleanup sync.WaitGroup
}

// source is the plugin block and the program folders from which a supervisor starts processes.
type source struct {
	block *config.Block
	// dirs are searched for the command.
	dirs []string
}

// startPolicy selects what a supervisor does if its first start fails.
type startPolicy int

const (
	// retryStart starts the process again, unless plugins.hcl has errors.
	retryStart startPolicy = iota
	// failFast ends the supervision.
	failFast
)

func newSupervisor(
	from *source, timing Timing, logger *slog.Logger, launch func(context.Context, *supervisor) (*instance, error),
) *supervisor {
	s := &supervisor{
		block: from.block, timing: timing, logger: logger.With("plugin", from.block.Name()), launch: launch,
		state: core.PluginStarting, changed: make(chan struct{}), done: make(chan struct{}),
		calls: newInflight(), wake: make(chan struct{}, 1),
	}
	s.source.Store(from)
	if n := s.block.MaxConcurrency; n > 0 {
		s.completions = make(chan struct{}, n)
	}
	if !s.block.Enabled {
		s.state = core.PluginDisabled
	}
	return s
}

// start begins the supervision. The channel receives the outcome of the first start:
// nil when the plugin is ready. The supervision ends after a failed first start if the
// error is a *config.Error or p is failFast.
func (s *supervisor) start(p startPolicy) <-chan error {
	// Not the caller's context: log records of the process do not belong to the reload request.
	ctx, end := context.WithCancel(context.Background())
	s.end = end
	outcome := make(chan error, 1)
	go s.run(ctx, p, outcome)
	return outcome
}

// stop stops the process gracefully and waits for its exit.
func (s *supervisor) stop() {
	if s.end == nil {
		return // start was not called
	}
	s.end()
	<-s.done
}

func (s *supervisor) run(ctx context.Context, p startPolicy, outcome chan<- error) {
	defer close(s.done)
	defer s.closeVerified()
	defer s.cleanup.Wait()
	report := func(err error) {
		select {
		case outcome <- err:
		default: // start already has an outcome
		}
	}
	loop := supervise.Loop{
		Policy: s.timing.restartPolicy(),
		Once: func(ctx context.Context) (time.Duration, error) {
			inst, err := s.launch(ctx, s)
			if err != nil {
				s.giveUp(p, err)
				return 0, err
			}
			s.setRunning(ctx, inst)
			report(nil)
			if s.restarts > 0 {
				inst.probeNow() // a reload verifies the first process, and Start and Reload probe it
			}
			err = s.watch(ctx, inst)
			if ctx.Err() == nil && inst.callsAtExit() > 0 {
				err = &supervise.Excused{Err: err} // one of the calls was the cause
			}
			return time.Since(inst.readyAt), err
		},
		Exited: func(ctx context.Context, e supervise.Exit) {
			s.setDown(ctx, e)
			report(e.Err)
		},
		Restarting: func() { s.set(func() { s.state = core.PluginRestarting; s.restarts++ }) },
		Wake:       s.wake,
		Retired:    s.calls.retired,
	}
	err := loop.Run(ctx)
	s.set(func() { s.state = core.PluginStopped })
	report(err)
}

// giveUp ends the supervision if the first start has failed and the policy does not allow another.
func (s *supervisor) giveUp(p startPolicy, err error) {
	var cerr *config.Error
	if s.restarts > 0 || p != failFast && !errors.As(err, &cerr) {
		return
	}
	s.set(func() { s.state, s.lastError = core.PluginStopped, err.Error() })
	s.end()
}

func (s *supervisor) setRunning(ctx context.Context, i *instance) {
	again := false
	s.set(func() {
		again = s.lastError != ""
		s.state, s.pid, s.readyAt = core.PluginRunning, i.proc.cmd.Process.Pid, i.readyAt
		s.description, s.schema = i.description, i.schema
		s.needsReload = false
		s.live.Store(i)
	})
	for _, w := range i.warnings {
		s.logger.WarnContext(ctx, "plugin reports a configuration warning", "warning", w)
	}
	if again {
		s.notify(core.LevelInfo, "is running again")
	}
	s.logger.InfoContext(ctx, "plugin started", "name", i.description.Name, "version", i.description.Version,
		"pid", i.proc.cmd.Process.Pid)
}

// notify sends a notification. It omits the error, because the recipients may not see it.
func (s *supervisor) notify(level core.Level, event string) {
	if s.notifier != nil {
		s.notifier.Notify(level, "", "Plugin "+s.block.Name()+" "+event)
	}
}

// setDown records a failed start or an exit.
func (s *supervisor) setDown(ctx context.Context, e supervise.Exit) {
	summary, first := "", false
	var changed *changedError
	needsReload := errors.As(e.Err, &changed)
	s.set(func() {
		first = needsReload && !s.needsReload
		s.needsReload = needsReload
		s.state, s.lastError = core.PluginRestarting, e.Err.Error()
		s.nextStart, s.failedAgain = time.Now().Add(e.Wait), e.Again
		if e.Open {
			s.state = core.PluginFailed
		}
		summary = s.crashSummaryLocked()
	})
	if needsReload {
		if first {
			s.notify(core.LevelError, "cannot start, because its program was changed. Reload plugins to start the new one.")
			s.logger.ErrorContext(ctx, "plugin stays down until plugins are reloaded", "error", e.Err)
		}
		return
	}
	if e.Open {
		s.notify(core.LevelError, summary)
		s.logger.ErrorContext(ctx, "plugin exited repeatedly", "error", e.Err, "exits", s.timing.CircuitExits,
			"window", s.timing.CircuitWindow, "next_start_in", e.Wait)
		return
	}
	s.notify(core.LevelWarning, "exited and is being restarted")
	s.logger.ErrorContext(ctx, "plugin exited", "error", e.Err, "next_start_in", e.Wait)
}

// crashSummaryLocked describes why the circuit is open and when the next start is.
// The caller holds the lock.
func (s *supervisor) crashSummaryLocked() string {
	next := s.nextStart.UTC().Format("15:04:05 UTC")
	if s.failedAgain {
		return "exited again after a restart; next restart at " + next
	}
	window := s.timing.CircuitWindow.String()
	if minutes := s.timing.CircuitWindow / time.Minute; minutes > 1 && s.timing.CircuitWindow%time.Minute == 0 {
		window = fmt.Sprintf("%d minutes", minutes)
	}
	return fmt.Sprintf("exited %d times in %s; next restart at %s", s.timing.CircuitExits, window, next)
}

// watch checks an instance's health until its process exits. It stops the process when ctx ends.
func (s *supervisor) watch(ctx context.Context, i *instance) error {
	health := supervise.Health{
		Every: s.timing.HealthEvery, Timeout: s.timing.HealthTimeout, Misses: s.timing.HealthMisses, Now: i.probe,
		Probe: func(probing context.Context) error { return s.probe(probing, ctx, i) },
		Missed: func(ctx context.Context, err error, misses int) {
			s.logger.WarnContext(ctx, "plugin does not answer health checks", "error", err, "misses", misses)
		},
	}
	if health.Watch(ctx, i.proc.exited) {
		i.proc.kill(fmt.Sprintf("killed after %d unanswered health checks", s.timing.HealthMisses))
	}
	select {
	case <-i.proc.exited:
		s.setExited()
		s.cleanup.Go(i.cleanUp)
		return i.exitError()
	case <-ctx.Done():
		s.setExited()
		if err := i.stop(ctx); err != nil {
			s.logger.WarnContext(ctx, "plugin did not stop gracefully", "error", err)
		}
		return ctx.Err()
	}
}

// probe checks an instance's health once and records the result. A plugin that cannot work as configured is not
// healthy. It returns an error if the plugin did not answer. lifetime ends with the process.
func (s *supervisor) probe(ctx, lifetime context.Context, i *instance) error {
	answered, err := i.checkHealth(ctx)
	if !answered {
		return err
	}
	if err == nil {
		err = s.unusable(lifetime, i)
	}
	if !i.proc.hasExited() {
		s.setHealth(ctx, i, err)
	}
	return nil
}

// setHealth records the result of a health check. An unhealthy plugin keeps running,
// because a restart would not fix the cause.
func (s *supervisor) setHealth(ctx context.Context, i *instance, err error) {
	healthError := ""
	if err != nil {
		healthError = "unhealthy: " + i.block.Mask(err.Error())
	}
	before := ""
	s.set(func() { before, s.healthError = s.healthError, healthError })
	switch {
	case before == healthError:
	case healthError == "":
		s.logger.InfoContext(ctx, "plugin reports that it is healthy again")
		s.notify(core.LevelInfo, "is healthy again")
	default:
		s.logger.WarnContext(ctx, "plugin reports that it is unhealthy", "error", healthError)
		if before == "" {
			s.notify(core.LevelWarning, "reports that it is unhealthy")
		}
	}
}

// setExited records that the supervisor has no process.
func (s *supervisor) setExited() {
	s.set(func() {
		s.live.Store(nil)
		s.state, s.pid, s.healthError = core.PluginRestarting, 0, ""
		s.readyAt = time.Time{}
	})
}

// set changes the state and wakes everyone who waits for a change.
func (s *supervisor) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

// liveInstance returns the instance that takes calls, or nil if there is none.
func (s *supervisor) liveInstance() *instance {
	if i := s.live.Load(); i != nil && !i.proc.hasExited() {
		return i
	}
	return nil
}

// waitReady returns the instance. It waits up to Timing.Wait for one that is
// starting. It fails with Unavailable, or with errRetired if the plugin is retired.
func (s *supervisor) waitReady(ctx context.Context) (*instance, error) {
	if i := s.liveInstance(); i != nil {
		return i, nil
	}
	timeout := time.NewTimer(s.timing.Wait)
	defer timeout.Stop()
	for {
		s.mu.Lock()
		state, changed := s.state, s.changed
		s.mu.Unlock()
		if i := s.liveInstance(); i != nil {
			return i, nil
		}
		switch state {
		case core.PluginFailed, core.PluginDisabled, core.PluginStopped:
			return nil, s.unavailable()
		case core.PluginStarting, core.PluginRunning, core.PluginRestarting:
		}
		select {
		case <-changed:
		case <-s.calls.retired:
			return nil, errRetired
		case <-timeout.C:
			return nil, s.unavailable()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// unavailable returns an error that says in which state the plugin is and what to do. It does not contain the last
// error, because that may contain output of the plugin, and members see it.
func (s *supervisor) unavailable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := "Plugin " + s.block.Name()
	if s.needsReload {
		return core.Unavailable("%s is down, because its program was changed after the last reload. An administrator must "+
			"reload plugins to check and start the new one.", name)
	}
	switch s.state {
	case core.PluginDisabled:
		return core.Unavailable("%s is disabled. Set enabled = true in its block in plugins.hcl and reload plugins.", name)
	case core.PluginStopped:
		return core.Unavailable("%s is stopped because the server is shutting down.", name)
	case core.PluginFailed:
		wait := max(time.Second, time.Until(s.nextStart).Round(time.Second))
		err := core.Unavailable("%s %s. An administrator finds the reason in the server's log and in GET /v1/plugins.",
			name, s.crashSummaryLocked())
		err.RetryAfter = wait
		return err
	case core.PluginStarting, core.PluginRunning, core.PluginRestarting:
	}
	err := core.Unavailable("%s is restarting. Try again shortly. If this persists, an administrator finds the reason "+
		"in GET /v1/plugins.", name)
	err.RetryAfter = time.Second
	return err
}
