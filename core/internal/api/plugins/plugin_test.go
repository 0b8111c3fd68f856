package plugins_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
	"github.com/agentarea/agentarea/core/internal/api/plugins"
)

// host is a plugins.Plugins and a plugins.Reloader.
type host struct {
	reload core.PluginReload
	err    error
	// options are those of the last reload or plan.
	options core.ReloadOptions
}

func (*host) Plugins() []core.Plugin {
	return []core.Plugin{{Kind: "agent", Label: "chat", State: core.PluginRunning, PID: 42, StartedAt: time.Now()}}
}

func (*host) AgentTypes() []core.AgentType {
	return []core.AgentType{
		{Type: "chat", Description: "Chats", ConfigSchema: json.RawMessage(`{"type":"object","required":["model"]}`), Available: true},
		{Type: "down"},
	}
}

func (*host) Models(context.Context) []core.Model {
	return []core.Model{{ID: "openai/gpt-4", Provider: "openai", ProviderID: "gpt-4"}}
}

func (h *host) PlanReload(_ context.Context, o core.ReloadOptions) (*core.PluginReload, error) {
	h.options = o
	plan := h.reload
	plan.Generation = 77
	return &plan, nil
}

func (h *host) Reload(_ context.Context, o core.ReloadOptions) (*core.PluginReload, error) {
	h.options = o
	if h.err != nil {
		return nil, h.err
	}
	return &h.reload, nil
}

func newEnv(t *testing.T) (*apitest.Server, *host) {
	t.Helper()
	s, h := apitest.New(t), &host{}
	plugins.Register(s.API, h, h)
	return s, h
}

func TestPluginsTypesAndModels(t *testing.T) {
	t.Parallel()
	s, _ := newEnv(t)
	types := s.Do(t, "ann", "GET", "/v1/agent-types", "").Want(200).JSON()["agent_types"].([]any)
	if schema := types[0].(map[string]any)["config_schema"].(map[string]any); len(types) != 2 ||
		schema["required"] == nil {
		t.Errorf("agent types = %v, want 2 with schemas", types)
	}
	models := s.Do(t, "ann", "GET", "/v1/models/", "").Want(200).JSON()["models"].([]any)
	if m := models[0].(map[string]any); m["id"] != "openai/gpt-4" || m["provider"] != "openai" {
		t.Errorf("models = %v, want openai/gpt-4 first", models)
	}
	found := s.Do(t, "root", "GET", "/v1/plugins", "").Want(200).JSON()["plugins"].([]any)
	if p := found[0].(map[string]any); p["kind"] != "agent" || p["label"] != "chat" || p["state"] != "running" ||
		p["version"] != "" {
		t.Errorf("plugins = %v, want agent chat first", found)
	}
	s.Do(t, "ann", "GET", "/v1/plugins", "").Want(403)
}

func TestReload(t *testing.T) {
	t.Parallel()
	s, h := newEnv(t)
	h.reload = core.PluginReload{Generation: 2, Started: []string{"files/s3"}, FileBackend: "s3"}
	want := `{"generation":2,"started":["files/s3"],"replaced":[],"stopped":[],"kept":[],"file_backend":"s3"}`
	if got := strings.TrimSpace(s.Do(t, "root", "POST", "/v1/plugins/reload", "").Want(200).Body.String()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := s.Do(t, "root", "POST",
		"/v1/plugins/reload?dry_run=true", "").Want(200).Body.String(); !strings.Contains(got, `"generation":77`) {
		t.Errorf("dry run: got %s, want generation 77", got)
	}
	s.Do(t, "root", "POST", "/v1/plugins/reload?dry_run=perhaps", "").Want(400)
	s.Do(t, "ann", "POST", "/v1/plugins/reload", "").Want(403)
	h.err = core.Invalid("plugins.hcl:3,1-4", "Unknown argument %q", "conig")
	if f := s.Do(t, "root", "POST", "/v1/plugins/reload", "").Want(400).Failure(); f.Details.Field != "plugins.hcl:3,1-4" {
		t.Errorf("reload of an invalid file: got %+v, want the position as the field", f)
	}
	h.err = core.Unavailable(`The plugin files "s3" does not start`)
	s.Do(t, "root", "POST", "/v1/plugins/reload", "").Want(503)
	h.err = core.Conflict("Plugin llm/echo is in use by 1 agent (\"A\").")
	if f := s.Do(t, "root", "POST", "/v1/plugins/reload", "").Want(409).Failure(); f.Message != "Plugin llm/echo is in use by 1 agent (\"A\")." {
		t.Errorf("reload that removes a needed plugin: got %+v, want the objects", f)
	}
}

func TestReload_force(t *testing.T) {
	t.Parallel()
	s, h := newEnv(t)
	for query, want := range map[string]bool{
		"": false, "?force=false": false, "?force=true": true, "?dry_run=true": false, "?dry_run=true&force=true": true,
	} {
		s.Do(t, "root", "POST", "/v1/plugins/reload"+query, "").Want(200)
		if h.options.Force != want {
			t.Errorf("reload%s: force = %v, want %v", query, h.options.Force, want)
		}
	}
	s.Do(t, "root", "POST", "/v1/plugins/reload?force=perhaps", "").Want(400)
	s.Do(t, "ann", "POST", "/v1/plugins/reload?force=true", "").Want(403)
}
