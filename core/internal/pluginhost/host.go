// Package pluginhost starts, configures and supervises the plugin processes of
// plugins.hcl, and finds them for the engine and the API.
//
// A stanza has a supervisor, and a supervisor has one instance at a time: a
// process that is configured and serves. What may hang on a frozen plugin has a
// deadline, after which the process is killed with its group: that ends every
// call on it. All plugins of one plugins.hcl make one registry, which never
// changes and is reached by one atomic pointer.
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
	logger *slog.Logger
	// level is the lowest that the logger writes.
	level  string
	timing Timing

	starter  *starter
	sockets  *sockets
	registry atomic.Pointer[registry]
	closing  atomic.Bool
}

var _ core.Plugins = (*Host)(nil)

// New makes a Host without any plugin yet.
func New(o Options) *Host {
	h := &Host{dirs: o.Dirs, data: o.DataDir, logger: o.Logger, timing: o.Timing}
	if h.logger == nil {
		h.logger = slog.New(slog.DiscardHandler)
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
	r := h.newRegistry(cfg, 1)
	if err := r.start(ctx); err != nil {
		h.closing.Store(true)
		r.stop()
		return errors.Join(err, h.release())
	}
	h.registry.Store(r)
	return nil
}

func (h *Host) prepare(ctx context.Context) error {
	h.level = levelWord(ctx, h.logger)
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

func (h *Host) release() error {
	h.starter.close()
	return h.sockets.remove()
}

// Close waits until the calls under way have ended or ctx has, then stops all
// plugins; that takes some seconds at most. No new run gets an agent type
// meanwhile, but runs under way still get their providers. It fails when calls
// were cut.
func (h *Host) Close(ctx context.Context) error {
	if h.starter == nil || h.closing.Swap(true) {
		return nil
	}
	r := h.registry.Load()
	left := drain(ctx, r.agents) + drain(ctx, r.providers)
	r.stop()
	err := h.release()
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("%d calls of plugins were cut", left))
	}
	return err
}

// Agent gives the agent type of that label. While its process is being started
// it waits some seconds; then it fails with Unavailable.
func (h *Host) Agent(ctx context.Context, label string) (agent.Runner, error) {
	if h.closing.Load() {
		return nil, core.Unavailable("The server is shutting down: try again soon")
	}
	s, err := h.registry.Load().agent(label)
	if err != nil {
		return nil, err
	}
	i, err := s.ready(ctx)
	if err != nil {
		return nil, err
	}
	return i.runner, nil
}

// Provider gives the provider that serves a model, its stanza's label, and the
// model's name as that provider knows it. It waits and fails as Agent does, and
// fails with Invalid of config.model when no provider serves the model.
func (h *Host) Provider(ctx context.Context, model string) (label, providerModel string, p llm.Provider, err error) {
	to, err := h.registry.Load().resolve(ctx, "config.model", model)
	if err != nil {
		return "", "", nil, err
	}
	i, err := to.plugin.ready(ctx)
	if err != nil {
		return "", "", nil, err
	}
	return to.plugin.stanza.Label, to.model, i.provider, nil
}
