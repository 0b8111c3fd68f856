package pluginhost

import (
	"context"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk/llm"
)

// consistent calls f with the registry, and again if the registry was swapped
// meanwhile, because plugins that left it may have appeared to be down.
func consistent[T any](h *Host, f func(*registry) T) T {
	for {
		r := h.registry.Load()
		out := f(r)
		if h.registry.Load() == r {
			return out
		}
	}
}

// Plugins implements core.Plugins.
func (h *Host) Plugins() []core.Plugin { return consistent(h, (*registry).statuses) }

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
	if s.healthError != "" {
		lastError = s.healthError
	}
	return core.Plugin{
		Kind: s.block.Kind, Label: s.block.Label,
		Name: s.description.Name, Version: s.description.Version,
		Description: s.description.Description, Capabilities: s.description.Capabilities,
		State: s.state, PID: s.pid, Restarts: s.restarts, LastError: lastError, StartedAt: s.readyAt,
		Generation: s.generation, Memory: memoryOf(s.pid), Unhealthy: s.healthError != "",
	}
}

// AgentTypes implements core.Plugins. The schema is nil for a type that never started.
func (h *Host) AgentTypes() []core.AgentType { return consistent(h, (*registry).agentTypes) }

func (r *registry) agentTypes() []core.AgentType {
	out := make([]core.AgentType, len(r.agents))
	for i, s := range r.agents {
		s.mu.Lock()
		out[i] = core.AgentType{
			Type: s.block.Label, Description: s.description.Description, ConfigSchema: s.schema,
			Available: s.liveInstance() != nil,
		}
		s.mu.Unlock()
	}
	return out
}

// Models implements core.Plugins. It may return an old list while a new one is fetched.
func (h *Host) Models(ctx context.Context) []core.Model {
	return consistent(h, func(r *registry) []core.Model { return r.models(ctx) })
}

func (r *registry) models(ctx context.Context) []core.Model {
	lists := r.listAll(func(s *supervisor) ([]llm.Model, error) {
		if s.liveInstance() == nil {
			return nil, nil
		}
		if l := s.cachedModels(ctx); l.models != nil && l.err == nil {
			return l.models, nil
		}
		return s.listModels(ctx, relistAfter)
	})
	out := []core.Model{}
	for i, l := range lists {
		if l.err != nil {
			continue
		}
		label := r.providers[i].block.Label
		for _, m := range l.models {
			out = append(out, core.Model{
				ID: label + "/" + m.ID, Provider: label, ProviderID: m.ID, DisplayName: m.DisplayName,
				ContextWindow: m.ContextWindow, MaxOutputTokens: m.MaxOutputTokens, Capabilities: m.Capabilities,
			})
		}
	}
	return out
}

// CheckModel implements core.Plugins. It fails with Unavailable if a provider that may
// serve the model cannot list its models.
func (h *Host) CheckModel(ctx context.Context, field, model string) error {
	return consistent(h, func(r *registry) error {
		_, err := r.resolve(ctx, field, model)
		return err
	})
}

// Broken implements core.Plugins. It does not call plugins. A model whose provider is
// not known yet counts as available if a running provider may serve it.
func (h *Host) Broken(dependencies []core.Dependency) []core.Dependency {
	ctx := context.Background()
	return consistent(h, func(r *registry) []core.Dependency {
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
	if s := findLabel(r.agents, b.Type); s == nil || s.liveInstance() == nil {
		return true
	}
	if b.Model == "" {
		return false
	}
	if to, ok := r.resolveCached(ctx, b.Model); ok {
		return to.plugin.liveInstance() == nil
	}
	for _, s := range r.providers {
		if s.liveInstance() != nil && s.cachedModels(ctx).models == nil {
			return false
		}
	}
	return true
}
