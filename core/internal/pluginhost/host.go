// Package pluginhost starts, configures and supervises the plugin processes of
// plugins.hcl, and finds them for the engine and the API.
//
// A stanza has a supervisor, and a supervisor has one instance at a time: a
// process that is configured and serves. What may hang on a frozen plugin has a
// deadline, after which the process is killed with its group: that ends every
// call on it. All plugins of one plugins.hcl make one registry, which never
// changes and is reached by one atomic pointer.
//
// A reload makes the next registry: of the supervisors whose stanza and program
// are as they were, and of new ones. When all new ones are ready, the pointer is
// swapped; only then are the old ones that are not in it retired: they take no
// call any more, and end with the last one under way. What look-ups give finds
// its plugin anew at each call, so it is never refused for a plugin's retirement.
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
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

// Options say how a Host works.
type Options struct {
	// Dirs are searched for commands, before plugin_dirs. Without, it is the
	// folder of the server's own executable.
	Dirs []string
	// DataDir is the server's data folder: plugins get folders in it.
	DataDir string
	// Logger takes the host's lines and the plugins'. Without, they are dropped.
	Logger *slog.Logger
	// Load reads plugins.hcl for a reload. An *config.Error says what is to be
	// mended in it.
	Load func() (*config.Config, error)
	// Notifier tells people when plugins go down and come back; may be left out.
	Notifier core.Notifier
	// Metrics counts calls, and Tracer makes their spans; may be left out.
	Metrics Metrics
	Tracer  trace.Tracer
	// Timing is for tests; a zero field has its default.
	Timing Timing
}

// Timing is how long things may take.
type Timing struct {
	// Wait is how long a look-up waits for a process that is being started; 3 s.
	Wait time.Duration
	// Handshake is from the start of a process to its address; 15 s. Start is
	// until it is configured; 30 s.
	Handshake, Start time.Duration
	// Stop is for a plugin to let go of things; 5 s. Exit is for its process to
	// end then; 1 s.
	Stop, Exit time.Duration
	// Every HealthEvery (10 s) a plugin is asked for its health and has
	// HealthTimeout (2 s) to answer; after HealthMisses (3) it is killed.
	HealthEvery, HealthTimeout time.Duration
	HealthMisses               int
	// Backoff is the second wait between starts (0.5 s; the first is none); it
	// doubles up to BackoffMax (30 s) until a process lives for Reset (60 s).
	Backoff, BackoffMax, Reset time.Duration
	// CircuitExits (5) within CircuitWindow (2 min) open the circuit: then there
	// is one try every HalfOpen (5 min).
	CircuitExits            int
	CircuitWindow, HalfOpen time.Duration
	// DrainRuns is how long the runs of an agent type that was replaced or
	// removed may go on, Drain the calls of other plugins; 10 min, 60 s.
	DrainRuns, Drain time.Duration
	// ModelsFresh is for how long a list of models is good; 60 s.
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
		{&t.HealthEvery, 10 * time.Second},
		{&t.HealthTimeout, 2 * time.Second},
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

// Host keeps the plugins. Its methods may be called at the same time, once
// Start has returned.
type Host struct {
	dirs   []string
	data   string
	load   func() (*config.Config, error)
	logger *slog.Logger
	// level is the lowest that the logger writes.
	level  string
	timing Timing

	starter  *starter
	sockets  *sockets
	notifier core.Notifier
	metrics  Metrics
	tracer   trace.Tracer
	registry atomic.Pointer[registry]
	closing  atomic.Bool
	// reloading is taken by the one reload that is under way.
	reloading chan struct{}
	// life ends when Close begins, draining when it cuts the calls that are left.
	life, draining     context.Context
	endLife, endDrains context.CancelFunc
	leaving            leaving
}

var (
	_ core.Plugins        = (*Host)(nil)
	_ core.PluginReloader = (*Host)(nil)
)

// New makes a Host without any plugin yet.
func New(o Options) *Host {
	h := &Host{
		dirs: o.Dirs, data: o.DataDir, load: o.Load, logger: o.Logger, timing: o.Timing, notifier: o.Notifier,
		metrics: o.Metrics, tracer: o.Tracer,
		reloading: make(chan struct{}, 1),
	}
	h.life, h.endLife = context.WithCancel(context.Background())
	h.draining, h.endDrains = context.WithCancel(context.Background())
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

// Start starts every enabled stanza. It fails, with nothing left running, when
// plugins.hcl has to be mended: bad config blocks, commands that are not there.
// A plugin that just does not come up is logged and started again and again.
// Start is called once.
func (h *Host) Start(ctx context.Context, cfg *config.Config) error {
	if err := h.prepare(ctx); err != nil {
		return err
	}
	r := h.newRegistry(cfg, 1, h.newSupervisor)
	outcomes, err := startAll(ctx, r.plugins, persevere)
	if bad := toMend(outcomes); bad != nil {
		err = bad
	}
	if err != nil {
		h.closing.Store(true)
		stopAll(r.plugins)
		return errors.Join(err, h.release())
	}
	h.registry.Store(r)
	return nil
}

// toMend joins what is to be mended in plugins.hcl; nil for nothing.
func toMend(outcomes []error) error {
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
	h.level = levelWord(ctx, h.logger)
	if err := h.findDirs(); err != nil {
		return err
	}
	data, err := filepath.Abs(h.data)
	if err != nil {
		return fmt.Errorf("find the data folder: %w", err)
	}
	h.data = data
	if h.sockets, err = openSockets(h.data); err != nil {
		return err
	}
	h.starter = newStarter()
	return nil
}

// findDirs makes the folders of the binaries absolute.
func (h *Host) findDirs() error {
	if h.dirs == nil {
		exe, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find the server's own folder: %w", err)
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
			return fmt.Errorf("find the plugins' folder: %w", err)
		}
		h.dirs[i] = abs
	}
	return nil
}

func (h *Host) release() error {
	h.starter.close()
	return h.sockets.remove()
}

// Close waits until the calls under way have ended or ctx has, those of plugins
// that were replaced too, then stops all plugins; that takes some seconds at
// most. No new run gets an agent type meanwhile, but runs under way still get
// their providers and files. It fails when calls were cut.
func (h *Host) Close(ctx context.Context) error {
	if h.starter == nil || h.closing.Swap(true) {
		return nil
	}
	h.endLife()
	h.reloading <- struct{}{} // a reload under way gives up; none comes after
	r := h.registry.Load()
	all := slices.Concat(r.plugins, h.leaving.all())
	for _, kinds := range [][]string{{agent.Kind}, config.Kinds} {
		for _, s := range all {
			if slices.Contains(kinds, s.stanza.Kind) {
				s.calls.retire()
				s.calls.drain(ctx)
			}
		}
	}
	left := 0
	for _, s := range all {
		left += s.calls.drain(ctx)
	}
	h.endDrains()
	stopAll(r.plugins)
	h.leaving.drains.Wait()
	err := h.release()
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("%d calls of plugins were cut", left))
	}
	return err
}

// Agent gives the agent type of that label. While its process is being started
// it waits some seconds; then it fails with Unavailable.
func (h *Host) Agent(ctx context.Context, label string) (agent.Runner, error) {
	r := &runs{host: h, look: func(r *registry) (*supervisor, error) {
		if h.closing.Load() {
			return nil, shuttingDown()
		}
		return r.agent(label)
	}}
	if err := h.check(ctx, r.look); err != nil {
		return nil, err
	}
	return r, nil
}

// Provider gives the provider that serves a model, its stanza's label, and the
// model's name as that provider knows it. It waits and fails as Agent does, and
// fails with Invalid of config.model when no provider serves the model.
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
	return to.plugin.stanza.Label, to.model, &provider{host: h, asked: model, to: to}, nil
}
