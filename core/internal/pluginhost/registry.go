package pluginhost

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/config"
)

// registry is the set of plugins of one plugins.hcl. It never changes: a look-up
// that has loaded it sees one generation throughout.
type registry struct {
	generation uint64
	// plugins are in the order of the file, the disabled ones too.
	plugins []*supervisor
	// agents and providers are the enabled ones of their kinds.
	agents, providers []*supervisor
	routes            routes
}

func (h *Host) newRegistry(cfg *config.Config, generation uint64) *registry {
	dirs := slices.Concat(h.dirs, cfg.PluginDirs)
	r := &registry{generation: generation}
	for _, stanza := range cfg.Stanzas {
		s := newSupervisor(stanza, h.timing, h.logger, func(ctx context.Context) (*instance, error) {
			return h.launch(ctx, stanza, dirs)
		})
		r.plugins = append(r.plugins, s)
		if !stanza.Enabled {
			continue
		}
		switch stanza.Kind {
		case "agent":
			r.agents = append(r.agents, s)
		case "llm":
			r.providers = append(r.providers, s)
		}
	}
	return r
}

// start starts all enabled plugins at once and waits for the first outcome of
// each. It fails with what is to be mended in plugins.hcl, in its order.
func (r *registry) start(ctx context.Context) error {
	outcomes := make([]<-chan error, len(r.plugins))
	for i, s := range r.plugins {
		if s.stanza.Enabled {
			outcomes[i] = s.start(ctx)
		}
	}
	var errs []error
	for _, outcome := range outcomes {
		if outcome == nil {
			continue
		}
		select {
		case err := <-outcome:
			errs = append(errs, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.Join(errs...)
}

// stop stops all plugins at once.
func (r *registry) stop() {
	var wg sync.WaitGroup
	for _, s := range r.plugins {
		wg.Go(s.stop)
	}
	wg.Wait()
}

// drain waits until no call of these plugins is under way, and gives how many
// are when ctx ends.
func drain(ctx context.Context, plugins []*supervisor) int {
	left := 0
	for _, s := range plugins {
		if i := s.live.Load(); i != nil {
			left += i.calls.drain(ctx)
		}
	}
	return left
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
	return nil, core.Unavailable("There is no agent plugin %q in plugins.hcl any more (%s): add its stanza, or change the agent's type",
		label, listed("there are: ", labels(r.agents), "there is none"))
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

func listed(prefix string, names []string, none string) string {
	if len(names) == 0 {
		return none
	}
	return prefix + strings.Join(names, ", ")
}
