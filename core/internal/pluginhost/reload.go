package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/config"
)

// Reload implements core.PluginReloader. Reloads run one at a time. A reload whose ctx
// ends changes nothing. It restarts plugins whose circuit is open, but does not fail if
// such a plugin fails again and its block and program are unchanged. The report omits
// disabled plugins.
func (h *Host) Reload(ctx context.Context, o core.ReloadOptions) (*core.PluginReload, error) {
	report, err := h.exclusively(ctx, func(ctx context.Context) (*core.PluginReload, error) { return h.reload(ctx, o) })
	if err != nil {
		h.logger.ErrorContext(ctx, "reloading plugins failed, keeping the previous plugins", "error", err)
		return nil, err
	}
	h.logger.InfoContext(ctx, "plugins reloaded", "generation", report.Generation, "started", report.Started,
		"replaced", report.Replaced, "stopped", report.Stopped, "kept", report.Kept, "file_backend", report.FileBackend)
	return report, nil
}

// PlanReload implements core.PluginReloader. It does not restart plugins whose circuit
// is open. The plan has the generation that the reload would create.
func (h *Host) PlanReload(ctx context.Context, o core.ReloadOptions) (*core.PluginReload, error) {
	return h.exclusively(ctx, func(ctx context.Context) (*core.PluginReload, error) { return h.plan(ctx, o) })
}

// exclusively runs f while no other reload runs. It fails once Close has begun.
func (h *Host) exclusively(
	ctx context.Context, f func(context.Context) (*core.PluginReload, error),
) (*core.PluginReload, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.lifetime, cancel)()
	select {
	case h.reloading <- struct{}{}:
		defer func() { <-h.reloading }()
	case <-ctx.Done():
	}
	if h.closing.Load() {
		return nil, shuttingDown()
	}
	report, err := f(ctx)
	if h.closing.Load() && err != nil {
		return nil, shuttingDown()
	}
	return report, err
}

// transition is the change from one registry to the next.
type transition struct {
	old, next *registry
	kept      map[*supervisor]*source
	added     []*supervisor
}

func (h *Host) newTransition(ctx context.Context) (*transition, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cfg, err := h.load()
	if err != nil {
		return nil, invalidConfig(issuesOf(err))
	}
	t := &transition{old: h.registry.Load(), kept: map[*supervisor]*source{}}
	t.next = h.newRegistry(cfg, t.old.generation+1, func(from *source) *supervisor {
		s := t.old.unchanged(from)
		if s != nil {
			t.kept[s] = from
			return s
		}
		s = h.newSupervisor(from)
		t.added = append(t.added, s)
		return s
	})
	return t, nil
}

// start starts the new plugins and verifies them. It stops all of them if one fails to start or cannot work as
// configured, or if the next registry lacks plugins that objects need.
func (h *Host) start(ctx context.Context, t *transition, o core.ReloadOptions) error {
	outcomes, err := startAll(ctx, t.added, failFast)
	if err == nil {
		verifyAll(ctx, t.added, outcomes)
		err = startErrors(t.added, outcomes)
	}
	if err == nil && !o.Force {
		err = h.checkRemovals(ctx, t)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		stopAll(t.added)
	}
	return err
}

// report describes the changes, and the generation after them. restarted holds the kept
// plugins that were restarted.
func (t *transition) report(restarted map[*supervisor]bool) *core.PluginReload {
	report := compare(t.old, t.next, restarted)
	if t.changes() {
		report.Generation = t.next.generation
	}
	return report
}

func (t *transition) changes() bool {
	return !slices.Equal(t.old.plugins, t.next.plugins) || t.old.fileBackend != t.next.fileBackend
}

func (h *Host) plan(ctx context.Context, o core.ReloadOptions) (*core.PluginReload, error) {
	t, err := h.newTransition(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.start(ctx, t, o); err != nil {
		return nil, err
	}
	stopAll(t.added)
	return t.report(nil), nil
}

func (h *Host) reload(ctx context.Context, o core.ReloadOptions) (*core.PluginReload, error) {
	t, err := h.newTransition(ctx)
	if err != nil {
		return nil, err
	}
	waitRestarts := restartFailed(ctx, t.kept)
	err = h.start(ctx, t, o)
	restarted := waitRestarts()
	if err != nil {
		return nil, err
	}
	for s, from := range t.kept {
		s.source.Store(from)
	}
	report := t.report(restarted)
	if !t.changes() {
		return report, nil
	}
	h.registry.Store(t.next)
	probeAll(t.added)
	for _, s := range t.old.plugins {
		if _, ok := t.kept[s]; !ok && s.block.Enabled {
			h.startDrain(s)
		}
	}
	return report, nil
}

// unchanged returns the supervisor whose block and program file equal those of from, or
// nil if there is none.
func (r *registry) unchanged(from *source) *supervisor {
	for _, s := range r.plugins {
		if s.block.Name() != from.block.Name() || s.block.Hash != from.block.Hash {
			continue
		}
		if !s.block.Enabled || s.started(from) {
			return s
		}
	}
	return nil
}

// started reports whether from leads to the program that was started last.
func (s *supervisor) started(from *source) bool {
	found, err := findBinary(from.block, from.dirs)
	if err != nil {
		return false // starting a new supervisor reports the error
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.program == found
}

// restartFailed restarts the plugins whose circuit is open. The returned function waits
// for the outcome and returns the plugins that run again.
func restartFailed(ctx context.Context, kept map[*supervisor]*source) func() map[*supervisor]bool {
	var wg sync.WaitGroup
	var mu sync.Mutex
	restarted := map[*supervisor]bool{}
	for s := range kept {
		wg.Go(func() {
			if s.restartIfFailed(ctx) {
				mu.Lock()
				defer mu.Unlock()
				restarted[s] = true
			}
		})
	}
	return func() map[*supervisor]bool {
		wg.Wait()
		return restarted
	}
}

// restartIfFailed restarts a plugin whose circuit is open, and reports whether it runs.
func (s *supervisor) restartIfFailed(ctx context.Context) bool {
	s.mu.Lock()
	before, state := s.restarts, s.state
	s.mu.Unlock()
	if state != core.PluginFailed {
		return false
	}
	select {
	case s.wake <- struct{}{}:
	default: // a wakeup is already pending
	}
	for {
		s.mu.Lock()
		tried, state, changed := s.restarts > before, s.state, s.changed
		s.mu.Unlock()
		if tried && state != core.PluginRestarting {
			return state == core.PluginRunning
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// compare describes the difference between two registries. The result has the
// generation of the old one.
func compare(old, next *registry, restarted map[*supervisor]bool) *core.PluginReload {
	before, after := map[string]*supervisor{}, map[string]*supervisor{}
	for _, s := range old.plugins {
		if s.block.Enabled {
			before[s.block.Name()] = s
		}
	}
	report := &core.PluginReload{
		Generation: old.generation, FileBackend: next.fileBackend,
		Started: []string{}, Replaced: []string{}, Stopped: []string{}, Kept: []string{},
	}
	for _, s := range next.plugins {
		if !s.block.Enabled {
			continue
		}
		name := s.block.Name()
		after[name] = s
		switch was := before[name]; {
		case was == nil:
			report.Started = append(report.Started, name)
		case was != s || restarted[s]:
			report.Replaced = append(report.Replaced, name)
		default:
			report.Kept = append(report.Kept, name)
		}
	}
	for _, s := range old.plugins {
		if name := s.block.Name(); s.block.Enabled && after[name] == nil {
			report.Stopped = append(report.Stopped, name)
		}
	}
	return report
}

// previousPlugins is the end of the message of a reload that failed.
const previousPlugins = "The previous plugins remain in use."

// startErrors returns the error of new plugins that failed to start or cannot work as configured: Invalid if
// plugins.hcl must be corrected, Unavailable otherwise, nil if there is none.
func startErrors(plugins []*supervisor, outcomes []error) error {
	var issues, down []string
	for i, err := range outcomes {
		var bad *config.Error
		err = plugins[i].position(err)
		switch s := plugins[i].block; {
		case err == nil:
		case errors.As(err, &bad):
			issues = append(issues, issuesOf(err)...)
		default:
			down = append(down, fmt.Sprintf("Plugin %s failed to start: %s", s.Name(), s.Mask(err.Error())))
		}
	}
	switch {
	case len(issues) > 0:
		return invalidConfig(append(issues, down...))
	case len(down) > 0:
		return core.Unavailable("%s. "+previousPlugins, strings.Join(down, ". "))
	}
	return nil
}

func issuesOf(err error) []string {
	var bad *config.Error
	if !errors.As(err, &bad) {
		return []string{err.Error()}
	}
	issues := make([]string, len(bad.Problems))
	for i, p := range bad.Problems {
		issues[i] = p.String()
	}
	return issues
}

func invalidConfig(issues []string) error {
	err := &core.Error{
		Code: core.CodeValidation, Message: "plugins.hcl has errors. " + previousPlugins,
	}
	for _, issue := range issues {
		err.Fields = append(err.Fields, core.FieldError{Field: "plugins.hcl", Issue: issue})
	}
	return err
}
