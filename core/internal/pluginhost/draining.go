package pluginhost

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/agentarea/agentarea/sdk/agent"
)

// drainingPlugins are the plugins that a reload has replaced or removed and whose
// processes have not yet exited.
type drainingPlugins struct {
	mu      sync.Mutex
	plugins map[*supervisor]struct{}
	drains  sync.WaitGroup
}

// startDrain retires a plugin that is no longer in the registry. In the background,
// it waits for the plugin's calls and then stops the plugin.
func (h *Host) startDrain(s *supervisor) {
	s.calls.retire()
	h.draining.mu.Lock()
	defer h.draining.mu.Unlock()
	if h.draining.plugins == nil {
		h.draining.plugins = map[*supervisor]struct{}{}
	}
	h.draining.plugins[s] = struct{}{}
	h.draining.drains.Go(func() { h.drain(s) })
}

// drain waits for the plugin's calls up to the limit of its kind, and stops it.
func (h *Host) drain(s *supervisor) {
	limit := h.timing.Drain
	if s.block.Kind == agent.Kind {
		limit = h.timing.DrainRuns
	}
	ctx, cancel := context.WithTimeout(h.drainCtx, limit)
	defer cancel()
	if left := s.calls.drain(ctx); left > 0 {
		s.logger.WarnContext(ctx, "canceling calls of a replaced or removed plugin", "calls", left)
	}
	s.stop()
	h.draining.mu.Lock()
	defer h.draining.mu.Unlock()
	delete(h.draining.plugins, s)
}

// all returns the plugins whose processes have not exited.
func (l *drainingPlugins) all() []*supervisor {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.plugins))
}
