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

// registry is the set of plugins of one version of plugins.hcl. It is immutable, so a
// look-up that has loaded it sees one generation.
type registry struct {
	generation uint64
	// plugins are in file order and include disabled ones.
	plugins []*supervisor
	// agents, providers, backends and transports are the enabled plugins by kind.
	agents, providers, backends, transports []*supervisor
	// fileBackend is the label of the backend for new files; empty for none.
	fileBackend string
	routes      routes
}

// newRegistry returns the registry of a config. get returns the supervisor of a source.
func (h *Host) newRegistry(cfg *config.Config, generation uint64, get func(*source) *supervisor) *registry {
	dirs := slices.Concat(h.dirs, cfg.PluginDirs)
	r := &registry{generation: generation, fileBackend: cfg.FileBackend}
	for _, block := range cfg.Blocks {
		s := get(&source{block: block, dirs: dirs})
		if s.generation == 0 {
			s.generation = generation
		}
		r.plugins = append(r.plugins, s)
		if !block.Enabled {
			continue
		}
		switch block.Kind {
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

// ConfigHash returns a text that changes with plugins.hcl and with the variables that it reads. It must not be printed,
// because it is derived from secrets.
func (h *Host) ConfigHash() string {
	r := h.registry.Load()
	var b strings.Builder
	b.WriteString(r.fileBackend)
	for _, s := range r.plugins {
		b.WriteString("\n" + s.block.Hash)
	}
	return b.String()
}

func (h *Host) newSupervisor(from *source) *supervisor {
	s := newSupervisor(from, h.timing, h.logger, h.launch)
	s.notifier = h.notifier
	return s
}

// startAll starts all enabled plugins concurrently and waits for their first starts. It
// returns the outcomes in the order of plugins; nil for a plugin that is ready.
func startAll(ctx context.Context, plugins []*supervisor, p startPolicy) ([]error, error) {
	first := make([]<-chan error, len(plugins))
	for i, s := range plugins {
		if s.block.Enabled {
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

// stopAll stops all plugins concurrently.
func stopAll(plugins []*supervisor) {
	var wg sync.WaitGroup
	for _, s := range plugins {
		wg.Go(s.stop)
	}
	wg.Wait()
}

// agent returns the enabled agent plugin with the given label. If there is none, it returns an
// error with the reason.
func (r *registry) agent(label string) (*supervisor, error) {
	if s := findLabel(r.agents, label); s != nil {
		return s, nil
	}
	for _, s := range r.plugins {
		if s.block.Kind == "agent" && s.block.Label == label {
			return nil, s.unavailable()
		}
	}
	return nil, core.Unavailable("Agent plugin %q is not in plugins.hcl. Available agent plugins: %s. Add its block and "+
		"reload plugins, or change the agent's type.",
		label, joined(labels(r.agents)))
}

func findLabel(plugins []*supervisor, label string) *supervisor {
	for _, s := range plugins {
		if s.block.Label == label {
			return s
		}
	}
	return nil
}

func labels(plugins []*supervisor) []string {
	out := make([]string, len(plugins))
	for i, s := range plugins {
		out[i] = s.block.Label
	}
	return out
}

// joined returns the names as a list, or "none".
func joined(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
