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

// Reload implements core.PluginReloader. Reloads come one after the other; one
// whose ctx ends changes nothing. A plugin that is down for long is tried again,
// but need not come up if its stanza and program are as they were. Disabled
// stanzas are in none of the report's lists.
func (h *Host) Reload(ctx context.Context) (*core.PluginReload, error) {
	report, err := h.inTurn(ctx, h.reload)
	if err != nil {
		h.logger.ErrorContext(ctx, "plugins are not reloaded: they serve on as they were", "error", err)
		return nil, err
	}
	h.logger.InfoContext(ctx, "plugins are reloaded", "generation", report.Generation, "started", report.Started,
		"replaced", report.Replaced, "stopped", report.Stopped, "kept", report.Kept, "file_backend", report.FileBackend)
	return report, nil
}

// PlanReload implements core.PluginReloader. A plugin that is down for long is
// not tried again by it. Its generation is the one that the reload would make.
func (h *Host) PlanReload(ctx context.Context) (*core.PluginReload, error) {
	return h.inTurn(ctx, h.plan)
}

// inTurn lets one reload be under way at a time, and none once Close has begun.
func (h *Host) inTurn(ctx context.Context, f func(context.Context) (*core.PluginReload, error)) (*core.PluginReload, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.life, cancel)()
	select {
	case h.reloading <- struct{}{}:
		defer func() { <-h.reloading }()
	case <-ctx.Done():
	}
	report, err := f(ctx)
	if h.closing.Load() && err != nil {
		return nil, shuttingDown()
	}
	return report, err
}

// step is the way from one registry to the next.
type step struct {
	old, next *registry
	kept      map[*supervisor]*source
	fresh     []*supervisor
}

func (h *Host) step(ctx context.Context) (*step, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cfg, err := h.load()
	if err != nil {
		return nil, invalid(issuesOf(err))
	}
	t := &step{old: h.registry.Load(), kept: map[*supervisor]*source{}}
	t.next = h.newRegistry(cfg, t.old.generation+1, func(from *source) *supervisor {
		s := t.old.unchanged(from)
		if s != nil {
			t.kept[s] = from
			return s
		}
		s = h.newSupervisor(from)
		t.fresh = append(t.fresh, s)
		return s
	})
	return t, nil
}

// start starts what is new; all of it is stopped when one does not come up.
func (t *step) start(ctx context.Context) error {
	outcomes, err := startAll(ctx, t.fresh, giveUp)
	if err == nil {
		err = refused(t.fresh, outcomes)
	}
	if err != nil {
		stopAll(t.fresh)
	}
	return err
}

// report says what the step changes, and of which generation the plugins are after it.
func (t *step) report(back map[*supervisor]bool) *core.PluginReload {
	report := compare(t.old, t.next, back)
	if t.changes() {
		report.Generation = t.next.generation
	}
	return report
}

func (t *step) changes() bool {
	return !slices.Equal(t.old.plugins, t.next.plugins) || t.old.fileBackend != t.next.fileBackend
}

func (h *Host) plan(ctx context.Context) (*core.PluginReload, error) {
	t, err := h.step(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.start(ctx); err != nil {
		return nil, err
	}
	stopAll(t.fresh)
	return t.report(nil), nil
}

func (h *Host) reload(ctx context.Context) (*core.PluginReload, error) {
	t, err := h.step(ctx)
	if err != nil {
		return nil, err
	}
	revived := revive(ctx, t.kept)
	err = t.start(ctx)
	back := revived()
	if err != nil {
		return nil, err
	}
	for s, from := range t.kept {
		s.source.Store(from)
	}
	report := t.report(back)
	if !t.changes() {
		return report, nil
	}
	h.registry.Store(t.next)
	for _, s := range t.old.plugins {
		if _, ok := t.kept[s]; !ok && s.stanza.Enabled {
			h.leave(s)
		}
	}
	return report, nil
}

// unchanged gives the supervisor of a stanza that says the same, with a program
// that is still the file that was started; nil for none.
func (r *registry) unchanged(from *source) *supervisor {
	for _, s := range r.plugins {
		if s.stanza.Name() != from.stanza.Name() || s.stanza.Hash != from.stanza.Hash {
			continue
		}
		if !s.stanza.Enabled || s.started(from) {
			return s
		}
	}
	return nil
}

// started says whether the program that a source leads to is the one that was
// started last.
func (s *supervisor) started(from *source) bool {
	found, err := findBinary(from.stanza, from.dirs)
	if err != nil {
		return false // a new one says what is wrong
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.program == found
}

// revive tries those again that are down for long. What it gives waits for the
// outcome, and tells which of them run.
func revive(ctx context.Context, kept map[*supervisor]*source) func() map[*supervisor]bool {
	var wg sync.WaitGroup
	var mu sync.Mutex
	back := map[*supervisor]bool{}
	for s := range kept {
		wg.Go(func() {
			if s.retry(ctx) {
				mu.Lock()
				defer mu.Unlock()
				back[s] = true
			}
		})
	}
	return func() map[*supervisor]bool {
		wg.Wait()
		return back
	}
}

// retry starts a plugin that is down for long at once, and says whether it runs.
func (s *supervisor) retry(ctx context.Context) bool {
	s.mu.Lock()
	before, state := s.restarts, s.state
	s.mu.Unlock()
	if state != core.PluginFailed {
		return false
	}
	select {
	case s.nudge <- struct{}{}:
	default: // it has one already
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

// compare says what the step from a registry to the next one is. Its generation
// is the old one's.
func compare(old, next *registry, back map[*supervisor]bool) *core.PluginReload {
	before, after := map[string]*supervisor{}, map[string]*supervisor{}
	for _, s := range old.plugins {
		if s.stanza.Enabled {
			before[s.stanza.Name()] = s
		}
	}
	report := &core.PluginReload{
		Generation: old.generation, FileBackend: next.fileBackend,
		Started: []string{}, Replaced: []string{}, Stopped: []string{}, Kept: []string{},
	}
	for _, s := range next.plugins {
		if !s.stanza.Enabled {
			continue
		}
		name := s.stanza.Name()
		after[name] = s
		switch was := before[name]; {
		case was == nil:
			report.Started = append(report.Started, name)
		case was != s || back[s]:
			report.Replaced = append(report.Replaced, name)
		default:
			report.Kept = append(report.Kept, name)
		}
	}
	for _, s := range old.plugins {
		if name := s.stanza.Name(); s.stanza.Enabled && after[name] == nil {
			report.Stopped = append(report.Stopped, name)
		}
	}
	return report
}

// refused says why new plugins can't serve: Invalid when there is something to
// mend in plugins.hcl, Unavailable when some do not come up; nil when all serve.
func refused(plugins []*supervisor, outcomes []error) error {
	var issues, down []string
	for i, err := range outcomes {
		var bad *config.Error
		switch s := plugins[i].stanza; {
		case err == nil:
		case errors.As(err, &bad):
			issues = append(issues, issuesOf(err)...)
		default:
			down = append(down, fmt.Sprintf("the %s plugin %q does not come up: %s", s.Kind, s.Label, s.Mask(err.Error())))
		}
	}
	switch {
	case len(issues) > 0:
		return invalid(append(issues, down...))
	case len(down) > 0:
		return core.Unavailable("The plugins serve on as they were, because %s", strings.Join(down, ", and "))
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

func invalid(issues []string) error {
	err := &core.Error{
		Code: core.CodeValidation, Message: "plugins.hcl has to be mended; the plugins serve on as they were",
	}
	for _, issue := range issues {
		err.Fields = append(err.Fields, core.FieldError{Field: "plugins.hcl", Issue: issue})
	}
	return err
}
