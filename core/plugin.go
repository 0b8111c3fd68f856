package core

import (
	"context"
	"encoding/json"
	"time"
)

// PluginState is where a plugin process stands.
type PluginState string

// The states. A plugin is Starting until it is configured, then Running; when
// its process ends it is Restarting until the next one runs, or Failed while
// the circuit is open. Disabled stanzas have no process.
const (
	PluginStarting   PluginState = "starting"
	PluginRunning    PluginState = "running"
	PluginRestarting PluginState = "restarting"
	PluginFailed     PluginState = "failed"
	PluginDisabled   PluginState = "disabled"
	PluginStopped    PluginState = "stopped"
)

// Plugin is one stanza of plugins.hcl and its process.
type Plugin struct {
	Kind, Label string
	// Name, Version, Description and Capabilities are the plugin's own words.
	Name         string
	Version      string
	Description  string
	Capabilities []string
	State        PluginState
	// PID is 0 without a process.
	PID      int
	Restarts int
	// Generation is that of the reload that made the stanza's present process; 1 is the server's start.
	Generation uint64
	// Memory is what the process and its children keep in memory, in bytes; 0 when it can't be told.
	Memory int64
	// LastError is why the last process ended or did not start.
	LastError string
	// StartedAt is when the present process was ready; zero without one.
	StartedAt time.Time
}

// AgentType is a type of agent that an agent stanza serves.
type AgentType struct {
	// Type is the stanza's label.
	Type        string
	Description string
	// ConfigSchema is the JSON Schema of an agent's config.
	ConfigSchema json.RawMessage
	Available    bool
}

// Model is one that a provider serves.
type Model struct {
	// ID is what an agent's config may name; ProviderID is that without the label.
	ID              string
	Provider        string
	ProviderID      string
	DisplayName     string
	ContextWindow   int64
	MaxOutputTokens int64
	Capabilities    []string
}

// PluginReload is what came of reading plugins.hcl anew. Plugins are named
// kind/label.
type PluginReload struct {
	// Generation counts the sets of plugins since the server's start, from 1; it
	// is the old one when nothing has changed.
	Generation uint64
	Started    []string
	// Replaced have a new process; the old one ends when its calls have.
	Replaced []string
	Stopped  []string
	Kept     []string
	// FileBackend is the label of the one that takes new files; empty for none.
	FileBackend string
}

// Plugins is what the API wants to know of the plugins.
type Plugins interface {
	// Plugins gives all stanzas in the order of the file.
	Plugins() []Plugin
	// AgentTypes gives the enabled agent stanzas in the order of the file.
	AgentTypes() []AgentType
	// Models lists what the providers serve. Providers that fail are left out.
	Models(ctx context.Context) []Model
	// CheckModel says whether a provider serves the model: nil, or an Invalid of
	// field that names those there are.
	CheckModel(ctx context.Context, field, model string) error
	// Broken says which of the dependencies have a type or provider that is down.
	Broken(dependencies []Dependency) []Dependency
}

// PluginReloader swaps plugins while they work.
type PluginReloader interface {
	// Reload reads plugins.hcl anew and swaps the plugins that have changed,
	// without a call being cut. When it fails, the old set serves on, whole: with
	// Invalid of plugins.hcl, a line for each thing to mend, or with Unavailable
	// when a new plugin does not come up.
	Reload(ctx context.Context) (*PluginReload, error)
	// PlanReload does all that Reload does but the swap: what is new is started,
	// configured and stopped again. It fails as Reload would.
	PlanReload(ctx context.Context) (*PluginReload, error)
}
