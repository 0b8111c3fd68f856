// Package plugins serves the plugins and what they provide: agent types and models.
package plugins

import (
	"context"
	"net/http"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// Plugins lists the plugins and what they provide.
type Plugins interface {
	Plugins() []core.Plugin
	AgentTypes() []core.AgentType
	// Models returns the models of the providers that are up.
	Models(ctx context.Context) []core.Model
}

// Reloader reloads plugins.hcl.
type Reloader interface {
	// Reload applies plugins.hcl. If the file is invalid, or if a new plugin cannot work as configured, it fails with
	// Invalid and changes nothing. It fails with Conflict if objects need a plugin that it would remove.
	Reload(ctx context.Context, o core.ReloadOptions) (*core.PluginReload, error)
	// PlanReload returns what Reload would do. It fails as Reload does.
	PlanReload(ctx context.Context, o core.ReloadOptions) (*core.PluginReload, error)
}

type agentType struct {
	Type         string     `json:"type" doc:"The value for an agent's type"`
	Description  string     `json:"description"`
	Available    bool       `json:"available" doc:"false while its plugin is down"`
	ConfigSchema api.Object `json:"config_schema" doc:"The JSON Schema of an agent's config"`
}

type model struct {
	ID              string   `json:"id" doc:"The value for an agent's config.model"`
	Provider        string   `json:"provider"`
	ProviderID      string   `json:"provider_model" doc:"The provider's own name of the model"`
	DisplayName     string   `json:"display_name,omitempty"`
	ContextWindow   int64    `json:"context_window,omitempty" doc:"In tokens. Omitted if unknown"`
	MaxOutputTokens int64    `json:"max_output_tokens,omitempty"`
	Capabilities    []string `json:"capabilities"`
}

type plugin struct {
	Kind         string           `json:"kind"`
	Label        string           `json:"label"`
	Name         string           `json:"name"`
	Version      string           `json:"version"`
	Description  string           `json:"description"`
	Capabilities []string         `json:"capabilities"`
	State        core.PluginState `json:"state" enum:"starting,running,restarting,failed,disabled,stopped"`
	PID          int              `json:"pid,omitempty"`
	Restarts     int              `json:"restarts"`
	Generation   uint64           `json:"generation" doc:"The reload that started the current process. 1 is the start of the server"`
	Uptime       int64            `json:"uptime_seconds" doc:"Seconds since the current process became ready. 0 without a process"`
	Memory       int64            `json:"memory_bytes" doc:"Resident memory of the process and its children. 0 if unknown"`
	LastError    string           `json:"last_error,omitempty"`
	StartedAt    *api.Time        `json:"started_at,omitempty"`
}

type (
	agentTypes struct {
		AgentTypes []agentType `json:"agent_types"`
	}
	models struct {
		Models []model `json:"models"`
	}
	plugins struct {
		Plugins []plugin `json:"plugins"`
	}
	agentTypesOutput struct{ Body agentTypes }
	modelsOutput     struct{ Body models }
	pluginsOutput    struct{ Body plugins }
	reloadOutput     struct{ Body reload }
)

type reloadInput struct {
	DryRun bool `query:"dry_run" doc:"Only report what a reload would do. New plugins are started, configured, checked and stopped again"`
	Force  bool `query:"force" doc:"Also remove plugins that agents, tasks, files or MCP servers still need"`
}

// reload names plugins as kind/label.
type reload struct {
	Generation  uint64   `json:"generation" doc:"The number of the current set of plugins, starting with 1 when the server starts. It stays the same if nothing changed"`
	Started     []string `json:"started"`
	Replaced    []string `json:"replaced" doc:"Restarted plugins. The old process exits when its last call has finished"`
	Stopped     []string `json:"stopped"`
	Kept        []string `json:"kept"`
	FileBackend string   `json:"file_backend" doc:"The label of the file backend for new files. Empty if there is none"`
}

// Register adds the operations of the group.
func Register(a *api.API, p Plugins, r Reloader) {
	api.Register(a, api.Operation{
		ID: "list-agent-types", Method: http.MethodGet, Path: "/v1/agent-types", Tag: "Plugins", Access: api.SignedIn,
		Summary:     "List the agent types",
		Description: "Each agent type is an agent plugin. Its config_schema describes an agent's config.",
		Response: agentTypes{AgentTypes: []agentType{{
			Type: "chat", Description: "A conversation that can call tools", Available: true,
			ConfigSchema: api.Object(
				`{"type":"object","properties":{"model":{"type":"string"},"temperature":{"type":"number"}},"required":["model"]}`,
			),
		}}},
	}, func(context.Context, *struct{}) (*agentTypesOutput, error) { return newAgentTypes(p.AgentTypes()), nil })
	api.Register(a, api.Operation{
		ID: "list-models", Method: http.MethodGet, Path: "/v1/models", Tag: "Plugins", Access: api.SignedIn,
		Summary: "List the models", Description: "The models of all providers that are up.",
		Response: models{Models: []model{{
			ID: "openai/gpt-4", Provider: "openai", ProviderID: "gpt-4",
			DisplayName: "GPT-4", ContextWindow: 8192, Capabilities: []string{"tools"},
		}}},
	}, func(ctx context.Context, _ *struct{}) (*modelsOutput, error) { return newModels(p.Models(ctx)), nil })
	api.Register(a, api.Operation{
		ID: "list-plugins", Method: http.MethodGet, Path: "/v1/plugins", Tag: "Plugins", Access: api.Admin,
		Summary: "List the plugins", Description: "The blocks of plugins.hcl, in order, and the state of their processes.",
		Response: plugins{Plugins: []plugin{{
			Kind: "llm", Label: "openai", Name: "llm-openai", Version: "1.0.0", Description: "OpenAI and compatible servers",
			Capabilities: []string{"tools"}, State: core.PluginRunning, PID: 4711, StartedAt: &api.ExampleTime,
			Generation: 1, Uptime: 3600, Memory: 18 << 20,
		}}},
	}, func(context.Context, *struct{}) (*pluginsOutput, error) { return newPlugins(p.Plugins()), nil })
	api.Register(a, api.Operation{
		ID: "reload-plugins", Method: http.MethodPost, Path: "/v1/plugins/reload", Tag: "Plugins", Access: api.Admin,
		Summary: "Reload plugins.hcl",
		Description: "Reads plugins.hcl again and replaces the plugins that have changed, without interrupting requests. " +
			"If the file is invalid, or if a new plugin cannot work as configured, nothing changes, and the error names the " +
			"file and line to correct. If the reload would remove a plugin that agents, tasks, files or MCP servers still " +
			"need, it fails with 409, unless force is true. The server also reloads when the file changes, and on SIGHUP, " +
			"both without force.",
		Response: reload{
			Generation: 2, Started: []string{"files/s3"}, Replaced: []string{"llm/openai"}, Stopped: []string{},
			Kept: []string{"agent/chat", "files/local"}, FileBackend: "s3",
		},
		Errors: []core.Code{core.CodeValidation, core.CodeConflict},
	}, func(ctx context.Context, in *reloadInput) (*reloadOutput, error) {
		o := core.ReloadOptions{Force: in.Force}
		if in.DryRun {
			return newReload(r.PlanReload(ctx, o))
		}
		return newReload(r.Reload(ctx, o))
	})
}

func newAgentTypes(types []core.AgentType) *agentTypesOutput {
	out := &agentTypesOutput{Body: agentTypes{AgentTypes: []agentType{}}}
	for _, t := range types {
		out.Body.AgentTypes = append(out.Body.AgentTypes, agentType{
			Type: t.Type, Description: t.Description, Available: t.Available, ConfigSchema: api.Object(t.ConfigSchema),
		})
	}
	return out
}

func newModels(found []core.Model) *modelsOutput {
	out := &modelsOutput{Body: models{Models: []model{}}}
	for _, m := range found {
		out.Body.Models = append(out.Body.Models, model{
			ID: m.ID, Provider: m.Provider, ProviderID: m.ProviderID, DisplayName: m.DisplayName,
			ContextWindow: m.ContextWindow, MaxOutputTokens: m.MaxOutputTokens, Capabilities: api.OrEmpty(m.Capabilities),
		})
	}
	return out
}

func newPlugins(found []core.Plugin) *pluginsOutput {
	out := &pluginsOutput{Body: plugins{Plugins: []plugin{}}}
	for _, p := range found {
		var uptime time.Duration
		if !p.StartedAt.IsZero() {
			uptime = time.Since(p.StartedAt)
		}
		out.Body.Plugins = append(out.Body.Plugins, plugin{
			Kind: p.Kind, Label: p.Label, Name: p.Name, Version: p.Version, Description: p.Description,
			Capabilities: api.OrEmpty(p.Capabilities), State: p.State, PID: p.PID, Restarts: p.Restarts,
			LastError: p.LastError, StartedAt: api.OptionalTime(p.StartedAt),
			Generation: p.Generation, Uptime: int64(uptime.Seconds()), Memory: p.Memory,
		})
	}
	return out
}

func newReload(r *core.PluginReload, err error) (*reloadOutput, error) {
	if err != nil {
		return nil, err
	}
	return &reloadOutput{Body: reload{
		Generation: r.Generation, Started: api.OrEmpty(r.Started),
		Replaced: api.OrEmpty(r.Replaced), Stopped: api.OrEmpty(r.Stopped),
		Kept: api.OrEmpty(r.Kept), FileBackend: r.FileBackend,
	}}, nil
}
