package pluginhost

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/files"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// everything is an actor that can see the objects of all users.
var everything = core.Actor{Role: core.RoleAdmin}

// checkRemovals fails with Conflict if the next registry lacks an enabled plugin of the old one that objects need. The
// error says which objects, and how to remove the plugin nevertheless.
func (h *Host) checkRemovals(ctx context.Context, t *transition) error {
	removed := t.removed()
	if len(removed) == 0 || h.dependents == nil {
		return nil
	}
	r := &removal{transition: t, dependents: h.dependents}
	var needed []string
	for _, s := range removed {
		objects, err := r.objects(ctx, s)
		if err != nil {
			return err
		}
		if len(objects) > 0 {
			needed = append(needed,
				fmt.Sprintf("Plugin %s is in use by %s.", s.block.Name(), english.WordSeries(objects, "and")))
		}
	}
	if len(needed) == 0 {
		return nil
	}
	return core.Conflict("%s Keep its block enabled in plugins.hcl, or change or delete these objects first. To remove it "+
		"nevertheless, reload with ?force=true, or run: agentarea plugins reload --force. %s",
		strings.Join(needed, " "), previousPlugins)
}

// removed returns the enabled plugins whose block is missing or disabled in the next registry.
func (t *transition) removed() []*supervisor {
	var out []*supervisor
	for _, s := range t.old.plugins {
		if s.block.Enabled && !slices.ContainsFunc(t.next.plugins, func(next *supervisor) bool {
			return next.block.Enabled && next.block.Name() == s.block.Name()
		}) {
			out = append(out, s)
		}
	}
	return out
}

// removal finds the objects that need the plugins that a transition removes.
type removal struct {
	*transition
	dependents core.PluginDependents
	// agents are the types and models of all agents. They are nil until they are needed.
	agents []core.Dependency
	// before and after are the models of the providers of the old and the next registry, in their order.
	before, after []modelListing
}

// objects describes the objects that need a removed plugin.
func (r *removal) objects(ctx context.Context, s *supervisor) (texts []string, err error) {
	switch s.block.Kind {
	case agent.Kind, llm.Kind:
		dependencies, err := r.dependencies(ctx, s)
		if err != nil {
			return nil, err
		}
		agents, tasks, err := r.dependents.AgentDependents(ctx, dependencies)
		return appendSample(appendSample(nil, "agent", agents), "unfinished task", tasks), err
	case files.Kind:
		stored, err := r.dependents.FileDependents(ctx, s.block.Label)
		return appendSample(nil, "stored file", stored), err
	case mcptransport.Kind:
		servers, err := r.dependents.MCPServerDependents(ctx, s.block.Label)
		return appendSample(nil, "MCP server", servers), err
	}
	return nil, nil
}

// appendSample appends a text such as: 5 agents ("A", "B", "C" and 2 more).
func appendSample(texts []string, noun string, o core.ObjectSample) []string {
	if o.Total == 0 {
		return texts
	}
	names := make([]string, 0, len(o.Names)+1)
	for _, name := range o.Names {
		names = append(names, fmt.Sprintf("%q", name))
	}
	if more := o.Total - len(o.Names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return append(texts, fmt.Sprintf("%s (%s)", english.Plural(o.Total, noun, ""), english.WordSeries(names, "and")))
}

// dependencies returns the types and models of agents that need an agent type or a provider.
func (r *removal) dependencies(ctx context.Context, s *supervisor) ([]core.Dependency, error) {
	if r.agents == nil {
		var err error
		if r.agents, err = r.dependents.AgentDependencies(ctx, everything); err != nil {
			return nil, err
		}
	}
	if s.block.Kind == llm.Kind && r.before == nil {
		r.before, r.after = r.old.lastModels(ctx), r.next.lastModels(ctx)
	}
	var out []core.Dependency
	for _, d := range r.agents {
		needs := d.Type == s.block.Label
		if s.block.Kind == llm.Kind {
			needs = d.Model != "" && r.loses(d.Model, s)
		}
		if needs {
			out = append(out, d)
		}
	}
	return out, nil
}

// loses reports whether the removed provider s serves the model and no provider of the next registry does. A provider
// without patterns that cannot list its models may serve every model that no other provider serves.
func (r *removal) loses(model string, s *supervisor) bool {
	before := r.old.providerOf(model, r.before)
	if before == nil {
		i := slices.Index(r.old.providers, s)
		if len(s.block.Models) > 0 || r.before[i].err == nil {
			return false
		}
	} else if before != s {
		return false
	}
	return r.next.providerOf(model, r.after) == nil
}

// lastModels returns the models of the providers. It does not wait for processes.
func (r *registry) lastModels(ctx context.Context) []modelListing {
	return r.listAll(func(s *supervisor) ([]llm.Model, error) {
		if s.liveInstance() == nil {
			return s.cachedModels(ctx).models, s.unavailable()
		}
		return s.listModels(ctx, s.timing.ModelsFresh)
	})
}

// providerOf returns the provider of a model according to lists of the models of r.providers, or nil.
func (r *registry) providerOf(model string, lists []modelListing) *supervisor {
	if to, ok := r.resolveConfigured(model); ok {
		return to.plugin
	}
	for i, l := range lists {
		if l.contains(model) {
			return r.providers[i]
		}
	}
	return nil
}
