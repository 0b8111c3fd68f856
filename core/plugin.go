package core

import (
	"context"
	"encoding/json"
	"time"
)

// PluginState is the state of a plugin process.
type PluginState string

// The states. A plugin is PluginStarting until it is configured, then PluginRunning. When its
// process exits, it is PluginRestarting until the next process runs, or PluginFailed after too many
// crashes in a short time. A disabled block has no process.
const (
	PluginStarting   PluginState = "starting"
	PluginRunning    PluginState = "running"
	PluginRestarting PluginState = "restarting"
	PluginFailed     PluginState = "failed"
	PluginDisabled   PluginState = "disabled"
	PluginStopped    PluginState = "stopped"
)

// Plugin is one block of plugins.hcl and its process.
type Plugin struct {
	Kind, Label string
	// Name, Version, Description and Capabilities are reported by the plugin itself.
	Name         string
	Version      string
	Description  string
	Capabilities []string
	State        PluginState
	// PID is 0 if there is no process.
	PID      int
	Restarts int
	// Generation is the number of the reload that started the current process. The server's start is
	// generation 1.
	Generation uint64
	// Memory is the memory use of the process and its children, in bytes. It is 0 if unknown.
	Memory int64
	// Unhealthy reports whether the running plugin reports that it is unhealthy.
	Unhealthy bool
	// LastError is the reason why the plugin is unhealthy, or why the last process exited or failed to start.
	LastError string
	// StartedAt is the time at which the current process became ready. It is zero if there is no process.
	StartedAt time.Time
}

// AgentType is a type of agent that an agent block of plugins.hcl provides.
type AgentType struct {
	// Type is the label of the block.
	Type        string
	Description string
	// ConfigSchema is the JSON Schema of the config of agents of this type.
	ConfigSchema json.RawMessage
	Available    bool
}

// Model is a model that an LLM provider serves.
type Model struct {
	// ID is the name that an agent's config uses: label/model. ProviderID is the part after the label.
	ID              string
	Provider        string
	ProviderID      string
	DisplayName     string
	ContextWindow   int64
	MaxOutputTokens int64
	Capabilities    []string
}

// PluginReload is the result of reloading plugins.hcl. It names plugins as kind/label.
type PluginReload struct {
	// Generation is the number of the current set of plugins, starting with 1 when the server
	// starts. It stays the same if nothing changed.
	Generation uint64
	Started    []string
	// Replaced lists the restarted plugins. The old process exits when its last call has finished.
	Replaced []string
	Stopped  []string
	Kept     []string
	// FileBackend is the label of the backend that stores new files. It is empty if there is none.
	FileBackend string
}

// Plugins provides information about the plugins for the API.
type Plugins interface {
	// Plugins returns all blocks in the order of the file.
	Plugins() []Plugin
	// AgentTypes returns the types of the enabled agent blocks in the order of the file.
	AgentTypes() []AgentType
	// Models returns the models that the providers serve. It skips providers that fail.
	Models(ctx context.Context) []Model
	// CheckModel returns nil if a provider serves the model. Otherwise it returns an Invalid error
	// for field that lists the available models.
	CheckModel(ctx context.Context, field, model string) error
	// Broken returns the dependencies whose agent type or LLM provider is down.
	Broken(dependencies []Dependency) []Dependency
}

// ReloadOptions change what a reload accepts.
type ReloadOptions struct {
	// Force removes plugins that agents, tasks, files or MCP servers still need.
	Force bool
}

// PluginReloader replaces plugins while the server is running.
type PluginReloader interface {
	// Reload reads plugins.hcl and replaces the plugins that changed, without interrupting calls. On
	// failure all old plugins stay in use. It fails with Invalid if plugins.hcl has errors, or if a new plugin
	// cannot work as configured, with one field error for each. It fails with Unavailable if a new plugin fails
	// to start. It fails with Conflict if objects still need a plugin that it would remove, unless Force is set.
	Reload(ctx context.Context, o ReloadOptions) (*PluginReload, error)
	// PlanReload does everything that Reload does except for the replacement: it starts, configures,
	// checks and stops the new plugins. It fails as Reload does.
	PlanReload(ctx context.Context, o ReloadOptions) (*PluginReload, error)
}

// ObjectSample describes a set of objects.
type ObjectSample struct {
	// Total is the number of objects. Names has up to three of them, the newest first.
	Total int
	Names []string
}

// PluginDependents finds the objects that need a plugin.
type PluginDependents interface {
	// AgentDependencies returns the distinct dependencies of all agents that the actor can see.
	AgentDependencies(ctx context.Context, actor Actor) ([]Dependency, error)
	// AgentDependents returns the agents of all users with one of the dependencies, and the tasks of these agents
	// that have not ended.
	AgentDependents(ctx context.Context, dependencies []Dependency) (agents, tasks ObjectSample, err error)
	// FileDependents returns the files that are stored in the file backend.
	FileDependents(ctx context.Context, backend string) (ObjectSample, error)
	// MCPServerDependents returns the MCP servers that use the transport.
	MCPServerDependents(ctx context.Context, transport string) (ObjectSample, error)
}
