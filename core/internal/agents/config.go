package agents

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// prepare sets the defaults of an agent that is about to be stored, checks its config, and sets a.Model and
// a.MCPServers. old is the stored agent, or the zero Agent for a new one. It fails with Invalid or Unavailable.
func (s *Service) prepare(ctx context.Context, old core.Agent, a *core.Agent) error {
	if a.Status == core.AgentError {
		a.Status = old.Status
	}
	if a.Status == "" {
		a.Status = core.AgentActive
	}
	if len(a.Config) == 0 {
		a.Config = json.RawMessage("{}")
	}
	// An unchanged config stays valid, so that an agent of a removed type can still be renamed or deactivated.
	unchanged := old.Type == a.Type && sameJSON(old.Config, a.Config)
	if unchanged {
		a.Config = old.Config
	}
	config, err := s.parseConfig(ctx, a, unchanged)
	if err != nil {
		return err
	}
	a.MCPServers, err = s.resolveServers(ctx, a.CreatedBy, config.MCPServers, old.MCPServers, unchanged)
	if err != nil || unchanged {
		return err
	}
	a.Model = config.Model
	if a.Model == "" || a.Model == old.Model {
		return nil
	}
	return s.plugins.CheckModel(ctx, "config.model", a.Model)
}

// parseConfig decodes the config of an agent. It checks a changed config against the schema of the agent's
// type, and fails with Invalid or Unavailable.
func (s *Service) parseConfig(ctx context.Context, a *core.Agent, unchanged bool) (core.AgentConfig, error) {
	if unchanged {
		config, _ := core.ParseAgentConfig(a.Config) // it was checked when it was stored
		return config, nil
	}
	return s.checkConfig(ctx, a.Type, a.Config)
}

// sameJSON reports whether two JSON texts differ at most in white space and in escapes of <, > and &, which a
// merge patch may change.
func sameJSON(a, b json.RawMessage) bool {
	canonicalA, errA := json.Marshal(a)
	canonicalB, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(canonicalA, canonicalB)
}

// checkConfig checks a config against the schema of an agent type and decodes it. It fails with Invalid or
// Unavailable.
func (s *Service) checkConfig(ctx context.Context, agentType string, config json.RawMessage) (core.AgentConfig, error) {
	types := s.plugins.AgentTypes()
	i := slices.IndexFunc(types, func(t core.AgentType) bool { return t.Type == agentType })
	if i < 0 {
		return core.AgentConfig{}, unknownType(agentType, types)
	}
	if err := s.schemas.check(ctx, types[i], config); err != nil {
		return core.AgentConfig{}, err
	}
	return core.ParseAgentConfig(config)
}

// unknownType returns the Invalid error of an agent type that does not exist.
func unknownType(name string, types []core.AgentType) error {
	if len(types) == 0 {
		return core.Invalid("type",
			"Agent type %q does not exist. There are no agent types: an admin must enable an agent plugin.", name)
	}
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.Type
	}
	return core.Invalid("type", "Agent type %q does not exist. Agent types: %s", name, strings.Join(names, ", "))
}
