// Package pluginhost starts, configures, supervises and reloads the plugin
// processes of plugins.hcl. The engine and the API look plugins up here.
//
// Each plugin block has a supervisor. A supervisor has at most one instance at a
// time: a process that is configured and takes calls. Every operation that a hung
// plugin could block has a deadline, after which the host kills the process and
// its process group. The kill ends every call on the process. All plugins of one
// version of plugins.hcl form a registry. A registry is immutable and is reached
// through an atomic pointer.
//
// A reload builds the next registry. It takes over the supervisors whose block
// and program are unchanged and starts new ones for the others. When all new ones
// are ready, the pointer is swapped. Only then are the supervisors that are no
// longer used retired: they accept no more calls and stop when their last call
// has finished. A value that a look-up returns resolves its plugin at each call,
// so a call never fails because a plugin was retired.
package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/core/internal/supervise"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

// Options configure a Host.
type Options struct {
	// Dirs are searched for commands before plugin_dirs. The default is the
	// directory of the server's executable.
	Dirs []string
	// DataDir is the server's data directory. Each plugin gets a subdirectory.
	DataDir string
	// Logger receives the log records of the host and of the plugins. The
	// default discards them.
	Logger *slog.Logger
	// Load reads plugins.hcl for a reload. It returns a *config.Error if the
	// file has errors.
	Load func() (*config.Config, error)
	// Dependents finds the objects that need a plugin that a reload would remove. Optional.
	Dependents core.PluginDependents
	// Notifier notifies administrators when a plugin fails or recovers. Optional.
	Notifier core.Notifier
	// Metrics counts calls and Tracer creates their spans. Optional.
	Metrics Metrics
	Tracer  trace.Tracer
	// Timing overrides timeouts in tests. A zero field has its default.
	Timing Timing
}

// Timing holds the timeouts and intervals of a Host.
type Timing struct {
	// Wait is the maximum time that a look-up waits for a process that is starting; 3 s.
	Wait time.Duration
	// Handshake limits the time from the start of a process until it reports
	// its address; 15 s. Start limits the time until it is configured; 30 s.
	Handshake, Start time.Duration
	// Stop limits a plugin's Stop call; 5 s. Exit limits the time that its
	// process then takes to exit; 1 s.
	Stop, Exit time.Duration
	// Call (30 s) limits a call that has one answer, and the time between two answers of a list.
	// Connect (3 min) limits the time until a connection to an MCP server is open.
	Call, Connect time.Duration
	// HealthEvery (10 s) is the interval between health checks. A check fails
	// after HealthTimeout (2 s). HealthMisses (3) failures in a row kill the
	// process.
	HealthEvery, HealthTimeout time.Duration
	HealthMisses               int
	// Backoff is the second delay between starts; 0.5 s. The first delay is
	// zero. The delay doubles up to BackoffMax (30 s), and starts over after a
	// process has lived for Reset (60 s).
	Backoff, BackoffMax, Reset time.Duration
	// CircuitExits (5) exits within CircuitWindow (2 min) open the circuit.
	// While it is open, there is one start every HalfOpen (5 min).
	CircuitExits            int
	CircuitWindow, HalfOpen time.Duration
	// MemoryEvery (1 s) is the interval between checks of a process's memory.
	MemoryEvery time.Duration
	// DrainRuns (10 min) is the maximum time for the runs of a replaced or removed
	// agent type to finish. Drain (60 s) is the limit for calls of other plugins.
	DrainRuns, Drain time.Duration
	// ModelsFresh is the time for which a list of models is used before it is
	// fetched again; 60 s.
	ModelsFresh time.Duration
}

func (t *Timing) defaults() {
	for _, d := range []struct {
		field    *time.Duration
		fallback time.Duration
	}{
		{&t.Wait, 3 * time.Second},
		{&t.Handshake, 15 * time.Second},
		{&t.Start, 30 * time.Second},
		{&t.Stop, 5 * time.Second},
		{&t.Exit, time.Second},
		{&t.Call, 30 * time.Second},
		{&t.Connect, 3 * time.Minute},
		{&t.HealthEvery, 10 * time.Second},
		{&t.HealthTimeout, 2 * time.Second},
		{&t.MemoryEvery, time.Second},
		{&t.Backoff, 500 * time.Millisecond},
		{&t.BackoffMax, 30 * time.Second},
		{&t.Reset, time.Minute},
		{&t.CircuitWindow, 2 * time.Minute},
		{&t.HalfOpen, 5 * time.Minute},
		{&t.DrainRuns, 10 * time.Minute},
		{&t.Drain, time.Minute},
		{&t.ModelsFresh, time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.fallback
		}
	}
	if t.HealthMisses == 0 {
		t.HealthMisses = 3
	}
	if t.CircuitExits == 0 {
		t.CircuitExits = 5
	}
}

// restartPolicy returns the policy for the restarts of a plugin.
func (t *Timing) restartPolicy() supervise.Policy {
	return supervise.Policy{
		Initial: t.Backoff, Max: t.BackoffMax, JitterLow: 0.8, JitterHigh: 1.2, Reset: t.Reset, Immediate: true,
		CircuitExits: t.CircuitExits, CircuitWindow: t.CircuitWindow, HalfOpen: t.HalfOpen,
	}
}

// Host runs the plugins. After Start has returned, its methods are safe for
// concurrent use.
type Host struct {
	dirs   []string
	data   string
	load   func() (*config.Config, error)
	logger *slog.Logger
	// level is the lowest level that the logger writes.
	level  string
	timing Timing

	starter    *starter
	sockets    *sockets
	dependents core.PluginDependents
	notifier   core.Notifier
	metrics    Metrics
	tracer     trace.Tracer
	registry   atomic.Pointer[registry]
	closing    atomic.Bool
	// reloading holds one token while a reload is in progress.
	reloading chan struct{}
	// lifetime ends when Close begins. drainCtx ends when Close cancels the
	// remaining calls.
	lifetime, drainCtx           context.Context
	cancelLifetime, cancelDrains context.CancelFunc
	draining                     drainingPlugins
}

var (
	_ core.Plugins        = (*Host)(nil)
	_ core.PluginReloader = (*Host)(nil)
)

// New returns a Host without plugins. Call Start to start them.
func New(o Options) *Host {
	h := &Host{
		dirs: o.Dirs, data: o.DataDir, load: o.Load, logger: o.Logger, timing: o.Timing,
		dependents: o.Dependents, notifier: o.Notifier,
		metrics: o.Metrics, tracer: o.Tracer,
		reloading: make(chan struct{}, 1),
	}
	h.lifetime, h.cancelLifetime = context.WithCancel(context.Background())
	h.drainCtx, h.cancelDrains = context.WithCancel(context.Background())
	if h.logger == nil {
		h.logger = slog.New(slog.DiscardHandler)
	}
	if h.metrics == nil {
		h.metrics = noMetrics{}
	}
	if h.tracer == nil {
		h.tracer = noop.Tracer{}
	}
	h.timing.defaults()
	h.registry.Store(&registry{})
	return h
}

// Start starts all enabled plugins. It fails and leaves no process running if
// plugins.hcl has errors, such as an invalid config block or a missing command.
// A plugin that fails to start for another reason is logged and restarted with
// backoff. A plugin that cannot work as configured, such as one whose key is refused,
// runs and is unhealthy. Start must be called at most once.
func (h *Host) Start(ctx context.Context, cfg *config.Config) error {
	if err := h.prepare(ctx); err != nil {
		return err
	}
	r := h.newRegistry(cfg, 1, h.newSupervisor)
	outcomes, err := startAll(ctx, r.plugins, retryStart)
	if bad := configErrors(outcomes); bad != nil {
		err = bad
	}
	if err != nil {
		h.closing.Store(true)
		stopAll(r.plugins)
		return errors.Join(err, h.release())
	}
	h.registry.Store(r)
	probeAll(r.plugins)
	return nil
}

// probeAll requests a health check of the plugins that run.
func probeAll(plugins []*supervisor) {
	for _, s := range plugins {
		if i := s.liveInstance(); i != nil {
			i.probeNow()
		}
	}
}

// configErrors returns all configuration errors among outcomes as one
// *config.Error, or nil if there are none.
func configErrors(outcomes []error) error {
	all := &config.Error{}
	for _, err := range outcomes {
		var bad *config.Error
		if errors.As(err, &bad) {
			all.Problems = append(all.Problems, bad.Problems...)
		}
	}
	if len(all.Problems) == 0 {
		return nil
	}
	return all
}

func (h *Host) prepare(ctx context.Context) error {
	h.level = lowestLevel(ctx, h.logger)
	if err := h.findDirs(); err != nil {
		return err
	}
	data, err := filepath.Abs(h.data)
	if err != nil {
		return fmt.Errorf("find the data directory: %w", err)
	}
	h.data = data
	if h.sockets, err = openSockets(h.data); err != nil {
		return err
	}
	h.starter = newStarter()
	return nil
}

// findDirs makes the directories of the binaries absolute.
func (h *Host) findDirs() error {
	if h.dirs == nil {
		exe, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find the server's directory: %w", err)
		}
		if target, err := filepath.EvalSymlinks(exe); err == nil {
			exe = target
		}
		h.dirs = []string{filepath.Dir(exe)}
	}
	h.dirs = slices.Clone(h.dirs)
	for i, dir := range h.dirs {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return fmt.Errorf("find the plugin directory: %w", err)
		}
		h.dirs[i] = abs
	}
	return nil
}

func (h *Host) release() error {
	h.starter.close()
	return h.sockets.remove()
}

// Close waits until all calls have finished or ctx ends, including the calls of
// replaced plugins. It then stops all plugins, which takes a few seconds at most.
// Meanwhile Agent fails, but active runs can still use their providers and files.
// Close returns an error if it canceled calls.
func (h *Host) Close(ctx context.Context) error {
	if h.starter == nil || h.closing.Swap(true) {
		return nil
	}
	h.cancelLifetime()
	h.reloading <- struct{}{} // ends the reload in progress and prevents further ones
	r := h.registry.Load()
	all := slices.Concat(r.plugins, h.draining.all())
	for _, kinds := range [][]string{{agent.Kind}, config.Kinds} {
		for _, s := range all {
			if slices.Contains(kinds, s.block.Kind) {
				s.calls.retire()
				s.calls.drain(ctx)
			}
		}
	}
	left := 0
	for _, s := range all {
		left += s.calls.drain(ctx)
	}
	h.cancelDrains()
	stopAll(r.plugins)
	h.draining.drains.Wait()
	err := h.release()
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("canceled plugin calls: %d", left))
	}
	return err
}

// Agent returns the agent type with the given label. It waits up to Timing.Wait
// for a process that is starting, and then fails with Unavailable.
func (h *Host) Agent(ctx context.Context, label string) (agent.Runner, error) {
	r := &agentRunner{host: h, find: func(r *registry) (*supervisor, error) {
		if h.closing.Load() {
			return nil, shuttingDown()
		}
		return r.agent(label)
	}}
	if err := h.check(ctx, r.find); err != nil {
		return nil, err
	}
	return r, nil
}

// Provider returns the provider that serves model, the label of its block, and
// the model's name as that provider knows it. It waits and fails as Agent does. It
// fails with Invalid for config.model if no provider serves the model.
func (h *Host) Provider(ctx context.Context, model string) (label, providerModel string, p llm.Provider, err error) {
	var to route
	err = h.check(ctx, func(r *registry) (*supervisor, error) {
		next, err := r.resolve(ctx, modelField, model)
		if err != nil {
			return nil, err
		}
		to = next
		return to.plugin, nil
	})
	if err != nil {
		return "", "", nil, err
	}
	return to.plugin.block.Label, to.model, &provider{host: h, requested: model, to: to}, nil
}
