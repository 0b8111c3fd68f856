package api

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
)

func TestAgentsByTheContract(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	config := `{"model":"gpt-4","temperature":0.7,"max_tokens":2000,"seed":12345678901234567890}`
	made := b.do(t, "ann", "POST", "/v1/agents/", `{"name":"my-agent","description":"Agent description","type":"chat","config":`+config+`}`).want(201)
	got := made.json()
	id, _ := got["id"].(string)
	if !strings.HasPrefix(id, "agent-") || made.Header().Get("Location") != "/v1/agents/"+id || made.Header().Get("ETag") != `"v1"` {
		t.Errorf("id %q, headers %v", id, made.Header())
	}
	for name, want := range map[string]any{
		"name": "my-agent", "description": "Agent description", "type": "chat", "status": "active", "created_by": "user-ann",
	} {
		if got[name] != want {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	if !strings.Contains(made.Body.String(), config) {
		t.Errorf("the config has changed: %s", made.Body)
	}
	if at, _ := got["created_at"].(string); !strings.HasSuffix(at, "Z") || len(at) != len(timeFormat) {
		t.Errorf("created_at is %q", at)
	}
	list := b.do(t, "ann", "GET", "/v1/agents", "").want(200).json()
	if list["total"] != 1.0 || list["limit"] != 20.0 || list["offset"] != 0.0 || len(list["agents"].([]any)) != 1 {
		t.Errorf("the list is %v", list)
	}
	empty := b.do(t, "bob", "GET", "/v1/agents/?limit=5&offset=3", "").want(200)
	if s := strings.TrimSpace(empty.Body.String()); s != `{"agents":[],"total":0,"limit":5,"offset":3}` {
		t.Errorf("an empty list is %s", s)
	}
	b.do(t, "ann", "DELETE", "/v1/agents/"+id+"/", "").want(204)
	b.do(t, "ann", "GET", "/v1/agents/"+id, "").want(404)
}

func TestPutReplaces(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addAgent("agent-1", "ann", func(a *core.Agent) { a.Shared, a.Status = true, core.AgentInactive })
	got := b.do(t, "ann", "PUT", "/v1/agents/agent-1", goodAgent, `If-Match: "v0", "v1"`).want(200)
	if got.Header().Get("ETag") != `"v2"` {
		t.Errorf("the ETag is %s", got.Header().Get("ETag"))
	}
	now := got.json()
	if now["description"] != "" || now["shared"] != false || now["status"] != "active" || len(now["config"].(map[string]any)) != 1 {
		t.Errorf("it is %v", now)
	}
}

func TestAnAgentCanBeSentBackAsItWasRead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addAgent("agent-1", "ann", func(a *core.Agent) { a.Status = core.AgentInactive })
	b.broken = []core.Dependency{{Type: "chat", Model: "gpt-4"}}
	read := b.do(t, "ann", "GET", "/v1/agents/agent-1", "").want(200)
	if read.json()["status"] != "error" {
		t.Fatalf("it is %s", read.Body)
	}
	b.do(t, "ann", "PUT", "/v1/agents/agent-1", read.Body.String()).want(200)
	if a := b.agents["agent-1"]; a.Status != core.AgentInactive || a.CreatedBy != "user-ann" || a.Version != 2 {
		t.Errorf("it is %+v", a)
	}
}

func TestPatchMerges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		patch, contentType string
		check              func(a *core.Agent) bool
	}{
		"one field": {`{"status":"inactive"}`, "application/json", func(a *core.Agent) bool {
			return a.Status == core.AgentInactive && a.Name == "chat-assistant" && string(a.Config) == `{"model":"gpt-4","seed":12345678901234567890}`
		}},
		"by its own media type": {`{"name":"b"}`, "application/merge-patch+json", func(a *core.Agent) bool { return a.Name == "b" }},
		"null takes away":       {`{"description":null}`, "application/json", func(a *core.Agent) bool { return a.Description == "" }},
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
			b := newBench(t)
			b.addAgent("agent-1", "ann", func(a *core.Agent) { a.Config = json.RawMessage(`{"model":"gpt-4","seed":12345678901234567890}`) })
			b.do(t, "ann", "PATCH", "/v1/agents/agent-1", c.patch, "Content-Type: "+c.contentType).want(200)
			if a := b.agents["agent-1"]; !c.check(a) {
				t.Errorf("it is %+v with %s", a, a.Config)
			}
		})
	}
}

func TestAnAgentOfABrokenTypeCanStillBeChanged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addAgent("agent-1", "ann", func(a *core.Agent) { a.Type, a.Model = "gone", "gone" })
	b.do(t, "ann", "PATCH", "/v1/agents/agent-1", `{"status":"inactive"}`).want(200)
}

func TestAgentsAreFilteredByWhatTheyShow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addAgent("agent-1", "ann")
	b.addAgent("agent-2", "ann", func(a *core.Agent) { a.Model = "down" })
	b.addAgent("agent-3", "ann", func(a *core.Agent) { a.Status = core.AgentInactive })
	b.addAgent("agent-4", "bob", func(a *core.Agent) { a.Model = "down" })
	b.broken = []core.Dependency{{Type: "chat", Model: "down"}}
	for query, want := range map[string]string{
		"status=active": "agent-1", "status=error": "agent-2", "status=inactive": "agent-3", "": "agent-3 agent-2 agent-1",
		"type=chat&limit=1&offset=1": "agent-2", "type=none": "",
	} {
		var ids []string
		list := b.do(t, "ann", "GET", "/v1/agents/?"+query, "").want(200).json()
		for _, a := range list["agents"].([]any) {
			ids = append(ids, a.(map[string]any)["id"].(string))
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s gives %s", query, got)
		}
	}
}

func TestForeignObjectsLookLikeMissingOnes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addAgent("agent-1", "bob")
	b.runs["run-1"] = &core.Run{ID: "run-1", UserID: "user-bob"}
	b.mcp.add("server-1", "bob")
	same := "X-Request-ID: req-1"
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/v1/agents/X", ""},
		{"PUT", "/v1/agents/X", goodAgent},
		{"PATCH", "/v1/agents/X", `{}`},
		{"DELETE", "/v1/agents/X", ""},
		{"POST", "/v1/agents/X/chat", `{"message":"a"}`},
		{"GET", "/v1/agents/X/chat/history", ""},
		{"GET", "/v1/agents/X/sessions", ""},
		{"DELETE", "/v1/agents/X/sessions/s", ""},
		{"GET", "/v1/runs/X", ""},
		{"GET", "/v1/runs/X/events", ""},
		{"POST", "/v1/runs/X/cancel", ""},
		{"GET", "/v1/mcp-servers/X", ""},
		{"PUT", "/v1/mcp-servers/X", goodMCPServer},
		{"PATCH", "/v1/mcp-servers/X", `{}`},
		{"DELETE", "/v1/mcp-servers/X", ""},
		{"POST", "/v1/mcp-servers/X/start", ""},
		{"POST", "/v1/mcp-servers/X/stop", ""},
		{"POST", "/v1/mcp-servers/X/restart", ""},
		{"GET", "/v1/mcp-servers/X/tools", ""},
		{"GET", "/v1/mcp-servers/X/logs", ""},
		{"GET", "/v1/mcp-servers/X/logs?follow=true", ""},
	} {
		noun := "agent"
		switch {
		case strings.Contains(c.path, "runs"):
			noun = "run"
		case strings.Contains(c.path, "servers"):
			noun = "server"
		}
		foreign := b.do(t, "ann", c.method, strings.Replace(c.path, "X", noun+"-1", 1), c.body, same).want(404).Body.String()
		missing := b.do(t, "ann", c.method, strings.Replace(c.path, "X", noun+"-2", 1), c.body, same).want(404).Body.String()
		if strings.ReplaceAll(foreign, "-1\\\"", "") != strings.ReplaceAll(missing, "-2\\\"", "") {
			t.Errorf("%s %s: %s and %s", c.method, c.path, foreign, missing)
		}
	}
}

func TestSharedAgentsMayBeUsedAndNotChanged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addAgent("agent-1", "bob", func(a *core.Agent) { a.Shared = true })
	b.do(t, "ann", "POST", "/v1/agents/agent-1/chat", `{"message":"hi"}`).want(200)
	b.do(t, "ann", "PUT", "/v1/agents/agent-1", goodAgent).want(403)
	b.do(t, "ann", "PATCH", "/v1/agents/agent-1", `{"name":"mine"}`).want(403)
	b.do(t, "ann", "DELETE", "/v1/agents/agent-1", "").want(403)
	b.do(t, "root", "PATCH", "/v1/agents/agent-1", `{"name":"ours"}`).want(200)
}

func TestViewersOnlyRead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addAgent("agent-1", "bob", func(a *core.Agent) { a.Shared = true })
	b.do(t, "eve", "GET", "/v1/agents/agent-1", "").want(200)
	b.do(t, "eve", "POST", "/v1/agents/", goodAgent).want(403)
	b.do(t, "eve", "POST", "/v1/agents/agent-1/chat", `{"message":"hi"}`).want(403)
	b.do(t, "eve", "POST", "/v1/auth/logout", "").want(204)
}
