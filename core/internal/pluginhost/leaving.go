package pluginhost

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/agentarea/agentarea/sdk/agent"
)

// leaving are the plugins that a reload has replaced or removed, until their
// processes have ended.
type leaving struct {
	mu      sync.Mutex
	plugins map[*supervisor]struct{}
	drains  sync.WaitGroup
}

// leave lets a plugin that is not in the registry any more end its calls and
// then stops it, in the background.
func (h *Host) leave(s *supervisor) {
	s.calls.retire()
	h.leaving.mu.Lock()
	defer h.leaving.mu.Unlock()
	if h.leaving.plugins == nil {
		h.leaving.plugins = map[*supervisor]struct{}{}
	}
	h.leaving.plugins[s] = struct{}{}
	h.leaving.drains.Go(func() { h.seeOff(s) })
}

func (h *Host) seeOff(s *supervisor) {
	limit := h.timing.Drain
	if s.stanza.Kind == agent.Kind {
		limit = h.timing.DrainRuns
	}
	ctx, cancel := context.WithTimeout(h.draining, limit)
	defer cancel()
	if left := s.calls.drain(ctx); left > 0 {
		s.logger.WarnContext(ctx, "calls of a plugin that was replaced or removed are cut", "calls", left)
	}
	s.stop()
	h.leaving.mu.Lock()
	defer h.leaving.mu.Unlock()
	delete(h.leaving.plugins, s)
}

// all gives those that have not ended.
func (l *leaving) all() []*supervisor {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.plugins))
}
