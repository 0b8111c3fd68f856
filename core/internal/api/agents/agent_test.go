package agents

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
)

func TestAgents(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	config := `{"model":"gpt-4","temperature":0.7,"max_tokens":2000,"seed":12345678901234567890}`
	made := env.Do(t, "ann", "POST", "/v1/agents/",
		`{"name":"my-agent","description":"Agent description","type":"chat","config":`+config+`}`).Want(201)
	got := made.JSON()
	id, _ := got["id"].(string)
	if !strings.HasPrefix(id, "agent-") || made.Header().Get("Location") != "/v1/agents/"+id ||
		made.Header().Get("ETag") != `"v1"` {
		t.Errorf("got id %q, headers %v", id, made.Header())
	}
	for name, want := range map[string]any{
		"name": "my-agent", "description": "Agent description", "type": "chat", "status": "active", "created_by": "user-ann",
	} {
		if got[name] != want {
			t.Errorf("got %s %v, want %v", name, got[name], want)
		}
	}
	if !strings.Contains(made.Body.String(), config) {
		t.Errorf("got config %s", made.Body)
	}
	if at, _ := got["created_at"].(string); !strings.HasSuffix(at, "Z") || len(at) != len("2006-01-02T15:04:05.000000Z") {
		t.Errorf("got created_at %q", at)
	}
	list := env.Do(t, "ann", "GET", "/v1/agents", "").Want(200).JSON()
	if list["total"] != 1.0 || list["limit"] != 20.0 || list["offset"] != 0.0 || len(list["agents"].([]any)) != 1 {
		t.Errorf("got list %v", list)
	}
	empty := env.Do(t, "bob", "GET", "/v1/agents/?limit=5&offset=3", "").Want(200)
	if s := strings.TrimSpace(empty.Body.String()); s != `{"agents":[],"total":0,"limit":5,"offset":3}` {
		t.Errorf("got empty list %s", s)
	}
	env.Do(t, "ann", "DELETE", "/v1/agents/"+id+"/", "").Want(204)
	env.Do(t, "ann", "GET", "/v1/agents/"+id, "").Want(404)
}

func TestReplaceAgent(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "ann", func(a *core.Agent) { a.Shared, a.Status = true, core.AgentInactive })
	got := env.Do(t, "ann", "PUT", "/v1/agents/agent-1", goodAgent, `If-Match: "v0", "v1"`).Want(200)
	if got.Header().Get("ETag") != `"v2"` {
		t.Errorf("got ETag %s", got.Header().Get("ETag"))
	}
	now := got.JSON()
	if now["description"] != "" || now["shared"] != false || now["status"] != "active" ||
		len(now["config"].(map[string]any)) != 1 {
		t.Errorf("got %v", now)
	}
}

func TestReplaceAgent_withReplyOfGet(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "ann", func(a *core.Agent) { a.Status = core.AgentInactive })
	env.broken = []core.Dependency{{Type: "chat", Model: "gpt-4"}}
	read := env.Do(t, "ann", "GET", "/v1/agents/agent-1", "").Want(200)
	if read.JSON()["status"] != "error" {
		t.Fatalf("got %s", read.Body)
	}
	env.Do(t, "ann", "PUT", "/v1/agents/agent-1", read.Body.String()).Want(200)
	if a := env.agents["agent-1"]; a.Status != core.AgentInactive || a.CreatedBy != "user-ann" || a.Version != 2 {
		t.Errorf("got %+v", a)
	}
}

func TestChangeAgent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		patch, contentType string
		check              func(a *core.Agent) bool
	}{
		"one field": {`{"status":"inactive"}`, "application/json", func(a *core.Agent) bool {
			return a.Status == core.AgentInactive && a.Name == "chat-assistant" &&
				string(a.Config) == `{"model":"gpt-4","seed":12345678901234567890}`
		}},
		"by its own media type": {`{"name":"b"}`, "application/merge-patch+json", func(a *core.Agent) bool { return a.Name == "b" }},
		"null removes":          {`{"description":null}`, "application/json", func(a *core.Agent) bool { return a.Description == "" }},
		"config is merged": {`{"config":{"temperature":1,"seed":null}}`, "application/json", func(a *core.Agent) bool {
			var c map[string]any
			return json.Unmarshal(a.Config, &c) == nil && len(c) == 2 && c["model"] == "gpt-4" && c["temperature"] == 1.0
		}},
		"digits stay": {`{"config":{"temperature":1}}`, "application/json", func(a *core.Agent) bool {
			return strings.Contains(string(a.Config), "12345678901234567890")
		}},
		"nothing": {`{}`, "application/json", func(a *core.Agent) bool { return a.Name == "chat-assistant" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			env.agents.Add("agent-1", "ann",
				func(a *core.Agent) { a.Config = json.RawMessage(`{"model":"gpt-4","seed":12345678901234567890}`) })
			env.Do(t, "ann", "PATCH", "/v1/agents/agent-1", c.patch, "Content-Type: "+c.contentType).Want(200)
			if a := env.agents["agent-1"]; !c.check(a) {
				t.Errorf("got %+v with config %s", a, a.Config)
			}
		})
	}
}

func TestChangeAgent_ofMissingType(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	config := `{"model": "gone", "system_prompt": "<b>"}`
	env.agents.Add("agent-1", "ann", func(a *core.Agent) {
		a.Type, a.Model, a.Config = "gone", "gone", json.RawMessage(config)
	})
	env.Do(t, "ann", "PATCH", "/v1/agents/agent-1", `{"status":"inactive"}`).Want(200)
	if a := env.agents["agent-1"]; a.Status != core.AgentInactive || string(a.Config) != config {
		t.Errorf("the patch stored status %s and config %s, want inactive and %s", a.Status, a.Config, config)
	}
}

func TestListAgents_filter(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "ann")
	env.agents.Add("agent-2", "ann", func(a *core.Agent) { a.Model = "down" })
	env.agents.Add("agent-3", "ann", func(a *core.Agent) { a.Status = core.AgentInactive })
	env.agents.Add("agent-4", "bob", func(a *core.Agent) { a.Model = "down" })
	env.broken = []core.Dependency{{Type: "chat", Model: "down"}}
	for query, want := range map[string]string{
		"status=active": "agent-1", "status=error": "agent-2", "status=inactive": "agent-3", "": "agent-3 agent-2 agent-1",
		"type=chat&limit=1&offset=1": "agent-2", "type=none": "",
	} {
		var ids []string
		list := env.Do(t, "ann", "GET", "/v1/agents/?"+query, "").Want(200).JSON()
		for _, a := range list["agents"].([]any) {
			ids = append(ids, a.(map[string]any)["id"].(string))
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
}

func TestForeignAgentsLookLikeMissingOnes(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "bob")
	same := "X-Request-ID: req-1"
	for _, c := range []struct{ method, body string }{{"GET", ""}, {"PUT", goodAgent}, {"PATCH", `{}`}, {"DELETE", ""}} {
		foreign := env.Do(t, "ann", c.method, "/v1/agents/agent-1", c.body, same).Want(404).Body.String()
		missing := env.Do(t, "ann", c.method, "/v1/agents/agent-2", c.body, same).Want(404).Body.String()
		if strings.ReplaceAll(foreign, "agent-1", "") != strings.ReplaceAll(missing, "agent-2", "") {
			t.Errorf("%s: got %s for a foreign agent, %s for a missing one", c.method, foreign, missing)
		}
	}
}

func TestSharedAgentsCannotBeChanged(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "bob", func(a *core.Agent) { a.Shared = true })
	env.Do(t, "ann", "PUT", "/v1/agents/agent-1", goodAgent).Want(403)
	env.Do(t, "ann", "PATCH", "/v1/agents/agent-1", `{"name":"mine"}`).Want(403)
	env.Do(t, "ann", "DELETE", "/v1/agents/agent-1", "").Want(403)
	env.Do(t, "root", "PATCH", "/v1/agents/agent-1", `{"name":"ours"}`).Want(200)
}

func TestViewersOnlyRead(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "bob", func(a *core.Agent) { a.Shared = true })
	env.Do(t, "eve", "GET", "/v1/agents/agent-1", "").Want(200)
	env.Do(t, "eve", "POST", "/v1/agents/", goodAgent).Want(403)
}
