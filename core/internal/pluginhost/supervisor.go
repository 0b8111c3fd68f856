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
	"github.com/agentarea/agentarea/sdk/plugin"
)

// supervisor keeps the process of one stanza alive. A reload that does not
// change the stanza hands it to the next registry as it is.
//
//	starting ──ready──▶ running ──ends──▶ restarting ──ready──▶ running
//	                                        │    ▲
//	                       5 ends in 2 min  ▼    │ after 5 min, or on reload
//	                                       failed
type supervisor struct {
	// stanza is the one that it was made of: of the same hash as source's.
	stanza *config.Block
	timing Timing
	logger *slog.Logger
	// launch starts a process and makes it ready.
	launch func(context.Context, *supervisor) (*instance, error)
	source atomic.Pointer[source]
	calls  *inflight
	// generation is that of the registry that it was made for; set before it starts.
	generation uint64
	// completions has room for as many as may be under way at once; nil for no limit.
	completions chan struct{}
	// notifier may be nil.
	notifier core.Notifier

	// live is the instance that serves; nil while there is none.
	live atomic.Pointer[instance]

	mu          sync.Mutex
	state       core.PluginState
	description plugin.Description
	schema      json.RawMessage
	pid         int
	readyAt     time.Time
	restarts    int
	lastError   string
	// complaint is what a running one says against its own health.
	complaint string
	nextStart time.Time
	// program is the file that was started last.
	program program
	// changed closes with the next change.
	changed chan struct{}

	models modelList

	// nudge ends a wait for the next start.
	nudge   chan struct{}
	end     context.CancelFunc
	done    chan struct{}
	cleanup sync.WaitGroup
}

// source is what processes are started from.
type source struct {
	stanza *config.Block
	// dirs are searched for the command.
	dirs []string
}

// patience is what a supervisor does when the first start fails.
type patience int

const (
	// persevere starts again, unless plugins.hcl must be mended.
	persevere patience = iota
	// giveUp does not.
	giveUp
)

func newSupervisor(from *source, timing Timing, logger *slog.Logger, launch func(context.Context, *supervisor) (*instance, error)) *supervisor {
	s := &supervisor{
		stanza: from.stanza, timing: timing, logger: logger.With("plugin", from.stanza.Name()), launch: launch,
		state: core.PluginStarting, changed: make(chan struct{}), done: make(chan struct{}),
		calls: newInflight(), nudge: make(chan struct{}, 1),
	}
	s.source.Store(from)
	if n := s.stanza.MaxConcurrency; n > 0 {
		s.completions = make(chan struct{}, n)
	}
	if !s.stanza.Enabled {
		s.state = core.PluginDisabled
	}
	return s
}

// start begins to supervise. The channel gives the outcome of the first start: nil when
// the plugin is ready. An error ends the supervision if it is a *config.Error, or p says so.
func (s *supervisor) start(p patience) <-chan error {
	// Of no caller's context: the lines of a process are not those of the request that reloaded.
	ctx, end := context.WithCancel(context.Background())
	s.end = end
	first := make(chan error, 1)
	go s.run(ctx, p, first)
	return first
}

// stop ends the process in good order and waits for its end.
func (s *supervisor) stop() {
	if s.end == nil {
		return // never started
	}
	s.end()
	<-s.done
}

func (s *supervisor) run(ctx context.Context, p patience, first chan<- error) {
	defer close(s.done)
	defer s.cleanup.Wait()
	settle := func(err error) {
		select {
		case first <- err:
		default: // it is known since long
		}
	}
	b := &backoff{timing: s.timing}
	for attempt := 0; ; attempt++ {
		inst, err := s.launch(ctx, s)
		var cerr *config.Error
		if attempt == 0 && err != nil && (p == giveUp || errors.As(err, &cerr)) {
			s.set(func() { s.state, s.lastError = core.PluginStopped, err.Error() })
			settle(err)
			return
		}
		var up time.Duration
		if err == nil {
			s.serving(ctx, inst)
			settle(nil)
			err = s.attend(ctx, inst)
			up = time.Since(inst.readyAt)
		}
		wait, open := b.ended(time.Now(), up)
		if ctx.Err() == nil {
			s.down(ctx, err, wait, open)
			settle(err)
		}
		if !s.rest(ctx, wait) {
			s.set(func() { s.state = core.PluginStopped })
			settle(err)
			return
		}
		s.set(func() { s.state = core.PluginRestarting; s.restarts++ })
	}
}

// rest waits until the next start is due; false when there is none.
func (s *supervisor) rest(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.nudge:
	case <-s.calls.retired:
	case <-ctx.Done():
	}
	if s.calls.isRetired() {
		<-ctx.Done() // it has no more use for a process
	}
	return ctx.Err() == nil
}

func (s *supervisor) serving(ctx context.Context, i *instance) {
	again := false
	s.set(func() {
		again = s.lastError != ""
		s.state, s.pid, s.readyAt = core.PluginRunning, i.proc.cmd.Process.Pid, i.readyAt
		s.description, s.schema = i.description, i.schema
		s.live.Store(i)
	})
	for _, w := range i.warnings {
		s.logger.WarnContext(ctx, "the plugin warns of its config", "warning", w)
	}
	if again {
		s.notify(core.LevelInfo, "is running again")
	}
	s.logger.InfoContext(ctx, "plugin is up", "name", i.description.Name, "version", i.description.Version, "pid", i.proc.cmd.Process.Pid)
}

// notify tells people, who need not know why.
func (s *supervisor) notify(level core.Level, news string) {
	if s.notifier != nil {
		s.notifier.Notify(level, "", "Plugin "+s.stanza.Name()+" "+news)
	}
}

func (s *supervisor) down(ctx context.Context, err error, wait time.Duration, open bool) {
	s.set(func() {
		s.state, s.lastError = core.PluginRestarting, err.Error()
		if open {
			s.state = core.PluginFailed
		}
		s.nextStart = time.Now().Add(wait)
	})
	if open {
		s.notify(core.LevelError, "ends again and again, and rests now")
		s.logger.ErrorContext(ctx, "plugin ends again and again, and rests now", "error", err, "next_start_in", wait)
		return
	}
	s.notify(core.LevelWarning, "is down, and is started again")
	s.logger.ErrorContext(ctx, "plugin is down", "error", err, "next_start_in", wait)
}

// attend watches an instance until its process has ended, or ends it with ctx.
func (s *supervisor) attend(ctx context.Context, i *instance) error {
	tick := time.NewTicker(s.timing.HealthEvery)
	defer tick.Stop()
	misses := 0
	for {
		select {
		case <-i.proc.exited:
			s.gone()
			s.cleanup.Go(i.cleanUp)
			return i.exitError()
		case <-ctx.Done():
			s.gone()
			if err := i.stop(ctx); err != nil {
				s.logger.WarnContext(ctx, "plugin did not stop in good order", "error", err)
			}
			return ctx.Err()
		case <-i.suspect:
		case <-tick.C:
		}
		answered, err := i.health(ctx)
		switch {
		case ctx.Err() != nil || i.proc.ended():
		case answered:
			misses = 0
			s.feels(ctx, i, err)
		default:
			misses++
			s.logger.WarnContext(ctx, "plugin does not answer", "error", err, "misses", misses)
			if misses >= s.timing.HealthMisses {
				i.proc.kill(fmt.Sprintf("it did not answer %d times and was killed", misses))
			}
		}
	}
}

// feels notes what a plugin says of its health. One that says it is not fit
// goes on: to start it again would not mend what it waits for.
func (s *supervisor) feels(ctx context.Context, i *instance, err error) {
	complaint := ""
	if err != nil {
		complaint = "not fit: " + i.stanza.Mask(err.Error())
	}
	news := false
	s.set(func() {
		news = s.complaint != complaint
		s.complaint = complaint
	})
	if news && err != nil {
		s.logger.WarnContext(ctx, "plugin says that it is not fit", "error", complaint)
	}
}

// gone notes that there is no process.
func (s *supervisor) gone() {
	s.set(func() {
		s.live.Store(nil)
		s.state, s.pid, s.complaint = core.PluginRestarting, 0, ""
		s.readyAt = time.Time{}
	})
}

// set changes the state, and tells those who wait for a change.
func (s *supervisor) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

// serves gives the instance if one serves now.
func (s *supervisor) serves() *instance {
	if i := s.live.Load(); i != nil && !i.proc.ended() {
		return i
	}
	return nil
}

// ready gives the instance, and waits a while for one that is being started. It
// fails with Unavailable, or with errRetired when there will be none.
func (s *supervisor) ready(ctx context.Context) (*instance, error) {
	if i := s.serves(); i != nil {
		return i, nil
	}
	timeout := time.NewTimer(s.timing.Wait)
	defer timeout.Stop()
	for {
		s.mu.Lock()
		state, changed := s.state, s.changed
		s.mu.Unlock()
		if i := s.serves(); i != nil {
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

// unavailable says that the plugin is down, why, and what to do.
func (s *supervisor) unavailable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := fmt.Sprintf("The %s plugin %q", s.stanza.Kind, s.stanza.Label)
	why := s.lastError
	if why == "" {
		why = "it is being started"
	}
	switch s.state {
	case core.PluginDisabled:
		return core.Unavailable("%s is disabled: set enabled in its stanza of plugins.hcl, then reload", name)
	case core.PluginStopped:
		return core.Unavailable("%s is stopped: the server is shutting down", name)
	case core.PluginFailed:
		wait := max(time.Second, time.Until(s.nextStart).Round(time.Second))
		err := core.Unavailable("%s is down: %s. It is tried again in %s; mend what its log says, then reload", name, why, wait)
		err.RetryAfter = wait
		return err
	case core.PluginStarting, core.PluginRunning, core.PluginRestarting:
	}
	err := core.Unavailable("%s is not ready: %s. It is being started again; try again soon, and see its log if that does not help", name, why)
	err.RetryAfter = time.Second
	return err
}
