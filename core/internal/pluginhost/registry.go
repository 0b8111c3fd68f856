package pluginhost

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/sdk/files"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// registry is the set of plugins of one plugins.hcl. It never changes: a look-up
// that has loaded it sees one generation throughout.
type registry struct {
	generation uint64
	// plugins are in the order of the file, the disabled ones too.
	plugins []*supervisor
	// agents, providers, backends and transports are the enabled ones of their kinds.
	agents, providers, backends, transports []*supervisor
	// fileBackend is the label of the one that takes new files; empty for none.
	fileBackend string
	routes      routes
}

// newRegistry makes the registry of a plugins.hcl, with the supervisor that get
// gives for each stanza.
func (h *Host) newRegistry(cfg *config.Config, generation uint64, get func(*source) *supervisor) *registry {
	dirs := slices.Concat(h.dirs, cfg.PluginDirs)
	r := &registry{generation: generation, fileBackend: cfg.FileBackend}
	for _, stanza := range cfg.Blocks {
		s := get(&source{stanza: stanza, dirs: dirs})
		if s.generation == 0 {
			s.generation = generation
		}
		r.plugins = append(r.plugins, s)
		if !stanza.Enabled {
			continue
		}
		switch stanza.Kind {
		case "agent":
			r.agents = append(r.agents, s)
		case "llm":
			r.providers = append(r.providers, s)
		case files.Kind:
			r.backends = append(r.backends, s)
		case mcptransport.Kind:
			r.transports = append(r.transports, s)
		}
	}
	return r
}

func (h *Host) newSupervisor(from *source) *supervisor {
	s := newSupervisor(from, h.timing, h.logger, h.launch)
	s.notifier = h.notifier
	return s
}

// startAll starts all that are enabled at once and waits for the outcome of each
// one's first start, in their order; nil for one that is ready.
func startAll(ctx context.Context, plugins []*supervisor, p patience) ([]error, error) {
	first := make([]<-chan error, len(plugins))
	for i, s := range plugins {
		if s.stanza.Enabled {
			first[i] = s.start(p)
		}
	}
	outcomes := make([]error, len(plugins))
	for i := range plugins {
		if first[i] == nil {
			continue
		}
		select {
		case outcomes[i] = <-first[i]:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return outcomes, nil
}

// stopAll stops them all at once.
func stopAll(plugins []*supervisor) {
	var wg sync.WaitGroup
	for _, s := range plugins {
		wg.Go(s.stop)
	}
	wg.Wait()
}

// agent gives the enabled agent stanza of that label, or an error that says why
// there is none.
func (r *registry) agent(label string) (*supervisor, error) {
	if s := labelled(r.agents, label); s != nil {
		return s, nil
	}
	for _, s := range r.plugins {
		if s.stanza.Kind == "agent" && s.stanza.Label == label {
			return nil, s.unavailable()
		}
	}
	return nil, core.Unavailable("There is no agent plugin %q in plugins.hcl any more (%s): add its stanza and reload, or change the agent's type",
		label, listed(labels(r.agents)))
}

func labelled(plugins []*supervisor, label string) *supervisor {
	for _, s := range plugins {
		if s.stanza.Label == label {
			return s
		}
	}
	return nil
}

func labels(plugins []*supervisor) []string {
	out := make([]string, len(plugins))
	for i, s := range plugins {
		out[i] = s.stanza.Label
	}
	return out
}

func listed(names []string) string {
	if len(names) == 0 {
		return "there is none"
	}
	return "there are: " + strings.Join(names, ", ")
}
