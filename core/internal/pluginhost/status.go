package pluginhost

import (
	"context"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk/llm"
)

// ofNow makes something of the registry, and makes it anew if that was swapped
// meanwhile: the plugins that left it may have seemed to be down.
func ofNow[T any](h *Host, of func(*registry) T) T {
	for {
		r := h.registry.Load()
		out := of(r)
		if h.registry.Load() == r {
			return out
		}
	}
}

// Plugins implements core.Plugins.
func (h *Host) Plugins() []core.Plugin { return ofNow(h, (*registry).statuses) }

func (r *registry) statuses() []core.Plugin {
	out := make([]core.Plugin, len(r.plugins))
	for i, s := range r.plugins {
		out[i] = s.status()
	}
	return out
}

func (s *supervisor) status() core.Plugin {
	s.mu.Lock()
	defer s.mu.Unlock()
	lastError := s.lastError
	if s.complaint != "" {
		lastError = s.complaint
	}
	return core.Plugin{
		Kind: s.stanza.Kind, Label: s.stanza.Label,
		Name: s.description.Name, Version: s.description.Version,
		Description: s.description.Description, Capabilities: s.description.Capabilities,
		State: s.state, PID: s.pid, Restarts: s.restarts, LastError: lastError, StartedAt: s.readyAt,
		Generation: s.generation, Memory: memoryOf(s.pid),
	}
}

// AgentTypes implements core.Plugins. The schema of a type that never came up is nil.
func (h *Host) AgentTypes() []core.AgentType { return ofNow(h, (*registry).agentTypes) }

func (r *registry) agentTypes() []core.AgentType {
	out := make([]core.AgentType, len(r.agents))
	for i, s := range r.agents {
		s.mu.Lock()
		out[i] = core.AgentType{
			Type: s.stanza.Label, Description: s.description.Description, ConfigSchema: s.schema,
			Available: s.serves() != nil,
		}
		s.mu.Unlock()
	}
	return out
}

// Models implements core.Plugins. An old list is given while a new one is asked for.
func (h *Host) Models(ctx context.Context) []core.Model {
	return ofNow(h, func(r *registry) []core.Model { return r.models(ctx) })
}

func (r *registry) models(ctx context.Context) []core.Model {
	lists := r.lists(func(s *supervisor) ([]llm.Model, error) {
		if s.serves() == nil {
			return nil, nil
		}
		if l := s.lastModels(ctx); l.models != nil && l.err == nil {
			return l.models, nil
		}
		return s.listModels(ctx, listAgain)
	})
	out := []core.Model{}
	for i, l := range lists {
		if l.err != nil {
			continue
		}
		label := r.providers[i].stanza.Label
		for _, m := range l.models {
			out = append(out, core.Model{
				ID: label + "/" + m.ID, Provider: label, ProviderID: m.ID, DisplayName: m.DisplayName,
				ContextWindow: m.ContextWindow, MaxOutputTokens: m.MaxOutputTokens, Capabilities: m.Capabilities,
			})
		}
	}
	return out
}

// CheckModel implements core.Plugins. It fails with Unavailable when a provider
// that may have the model can't be asked.
func (h *Host) CheckModel(ctx context.Context, field, model string) error {
	return ofNow(h, func(r *registry) error {
		_, err := r.resolve(ctx, field, model)
		return err
	})
}

// Broken implements core.Plugins. It asks nobody: a model whose provider is not
// known yet counts as fine while there is one that may serve it.
func (h *Host) Broken(dependencies []core.Dependency) []core.Dependency {
	ctx := context.Background()
	return ofNow(h, func(r *registry) []core.Dependency {
		var out []core.Dependency
		for _, b := range dependencies {
			if r.broken(ctx, b) {
				out = append(out, b)
			}
		}
		return out
	})
}

func (r *registry) broken(ctx context.Context, b core.Dependency) bool {
	if s := labelled(r.agents, b.Type); s == nil || s.serves() == nil {
		return true
	}
	if b.Model == "" {
		return false
	}
	if to, ok := r.known(ctx, b.Model); ok {
		return to.plugin.serves() == nil
	}
	for _, s := range r.providers {
		if s.serves() != nil && s.lastModels(ctx).models == nil {
			return false
		}
	}
	return true
}
