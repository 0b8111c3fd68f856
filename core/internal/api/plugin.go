package api

import (
	"context"
	"net/http"
	"time"

	"github.com/agentarea/agentarea/core"
)

type agentType struct {
	Type         string `json:"type" doc:"What an agent's type may be"`
	Description  string `json:"description"`
	Available    bool   `json:"available" doc:"false while its plugin is down"`
	ConfigSchema object `json:"config_schema" doc:"The JSON Schema of an agent's config"`
}

type model struct {
	ID              string   `json:"id" doc:"What an agent's config.model may be"`
	Provider        string   `json:"provider"`
	ProviderID      string   `json:"provider_model" doc:"The provider's own name for it"`
	DisplayName     string   `json:"display_name,omitempty"`
	ContextWindow   int64    `json:"context_window,omitempty" doc:"In tokens; left out when unknown"`
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
	Generation   uint64           `json:"generation" doc:"The reload that made the present process; 1 is the server's start"`
	Uptime       int64            `json:"uptime_seconds" doc:"Since the present process was ready; 0 without one"`
	Memory       int64            `json:"memory_bytes" doc:"Resident memory of the process and its children; 0 where it can't be told"`
	LastError    string           `json:"last_error,omitempty"`
	StartedAt    *stamp           `json:"started_at,omitempty"`
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
	DryRun bool `query:"dry_run" doc:"Only tell what a reload would do: what is new is started, configured and stopped again"`
}

// reload names plugins kind/label.
type reload struct {
	Generation  uint64   `json:"generation" doc:"Counts the sets of plugins since the server's start; the same as before when nothing has changed"`
	Started     []string `json:"started"`
	Replaced    []string `json:"replaced" doc:"Have a new process; the old one ends when its calls have"`
	Stopped     []string `json:"stopped"`
	Kept        []string `json:"kept"`
	FileBackend string   `json:"file_backend" doc:"The label of the one that takes new files; empty for none"`
}

func (a *api) registerPlugins() {
	register(a, operation{
		id: "list-agent-types", method: http.MethodGet, path: "/v1/agent-types", tag: "Plugins", summary: "List the agent types", access: signedIn,
		about: "Each is an agent plugin; its config_schema says what an agent's config may be.",
		response: agentTypes{AgentTypes: []agentType{{
			Type: "chat", Description: "A conversation that can call tools", Available: true,
			ConfigSchema: object(`{"type":"object","properties":{"model":{"type":"string"},"temperature":{"type":"number"}},"required":["model"]}`),
		}}},
	}, func(context.Context, *struct{}) (*agentTypesOutput, error) { return a.agentTypes(), nil })
	register(a, operation{
		id: "list-models", method: http.MethodGet, path: "/v1/models", tag: "Plugins", summary: "List the models", access: signedIn,
		about: "What the providers that are up serve.",
		response: models{Models: []model{{
			ID: "openai/gpt-4", Provider: "openai", ProviderID: "gpt-4", DisplayName: "GPT-4", ContextWindow: 8192, Capabilities: []string{"tools"},
		}}},
	}, func(ctx context.Context, _ *struct{}) (*modelsOutput, error) { return a.models(ctx), nil })
	register(a, operation{
		id: "list-plugins", method: http.MethodGet, path: "/v1/plugins", tag: "Plugins", summary: "List the plugins", access: admin,
		about: "The stanzas of plugins.hcl, in order, and how their processes do.",
		response: plugins{Plugins: []plugin{{
			Kind: "llm", Label: "openai", Name: "llm-openai", Version: "1.0.0", Description: "OpenAI and compatible servers",
			Capabilities: []string{"tools"}, State: core.PluginRunning, PID: 4711, StartedAt: &exampleTime,
			Generation: 1, Uptime: 3600, Memory: 18 << 20,
		}}},
	}, func(context.Context, *struct{}) (*pluginsOutput, error) { return a.pluginStates(), nil })
}

func (a *api) registerReload() {
	register(a, operation{
		id: "reload-plugins", method: http.MethodPost, path: "/v1/plugins/reload", tag: "Plugins", summary: "Reload plugins.hcl", access: admin,
		about: "Reads plugins.hcl anew and swaps the plugins that have changed, without a request being cut. When anything is wrong with it, the plugins stay as they are, " +
			"and the error says what to mend, by file and line. The server also does so by itself when the file changes, and on SIGHUP.",
		response: reload{
			Generation: 2, Started: []string{"files/s3"}, Replaced: []string{"llm/openai"}, Stopped: []string{}, Kept: []string{"agent/chat", "files/local"}, FileBackend: "s3",
		},
		errors: []core.Code{core.CodeValidation},
	}, func(ctx context.Context, in *reloadInput) (*reloadOutput, error) {
		work := a.reloader.Reload
		if in.DryRun {
			work = a.reloader.PlanReload
		}
		r, err := work(ctx)
		if err != nil {
			return nil, err
		}
		return &reloadOutput{Body: reload{
			Generation: r.Generation, Started: orEmpty(r.Started), Replaced: orEmpty(r.Replaced), Stopped: orEmpty(r.Stopped),
			Kept: orEmpty(r.Kept), FileBackend: r.FileBackend,
		}}, nil
	})
}

func (a *api) agentTypes() *agentTypesOutput {
	out := &agentTypesOutput{Body: agentTypes{AgentTypes: []agentType{}}}
	for _, t := range a.plugins.AgentTypes() {
		out.Body.AgentTypes = append(out.Body.AgentTypes, agentType{
			Type: t.Type, Description: t.Description, Available: t.Available, ConfigSchema: object(t.ConfigSchema),
		})
	}
	return out
}

func (a *api) models(ctx context.Context) *modelsOutput {
	out := &modelsOutput{Body: models{Models: []model{}}}
	for _, m := range a.plugins.Models(ctx) {
		out.Body.Models = append(out.Body.Models, model{
			ID: m.ID, Provider: m.Provider, ProviderID: m.ProviderID, DisplayName: m.DisplayName,
			ContextWindow: m.ContextWindow, MaxOutputTokens: m.MaxOutputTokens, Capabilities: orEmpty(m.Capabilities),
		})
	}
	return out
}

func (a *api) pluginStates() *pluginsOutput {
	out := &pluginsOutput{Body: plugins{Plugins: []plugin{}}}
	for _, p := range a.plugins.Plugins() {
		var uptime time.Duration
		if !p.StartedAt.IsZero() {
			uptime = time.Since(p.StartedAt)
		}
		out.Body.Plugins = append(out.Body.Plugins, plugin{
			Kind: p.Kind, Label: p.Label, Name: p.Name, Version: p.Version, Description: p.Description,
			Capabilities: orEmpty(p.Capabilities), State: p.State, PID: p.PID, Restarts: p.Restarts,
			LastError: p.LastError, StartedAt: stampOrNil(p.StartedAt),
			Generation: p.Generation, Uptime: int64(uptime.Seconds()), Memory: p.Memory,
		})
	}
	return out
}

// orEmpty makes a list that is not there an empty one in JSON.
func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
