package agents

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a := &core.Agent{
		Name: "helper", Type: "chat", Status: core.AgentInactive, Config: json.RawMessage(`{"model":"gpt-4"}`),
	}
	audit := &core.AuditRecord{}
	if err := e.Create(t.Context(), audit, ann, a); err != nil || audit.Target != a.ID {
		t.Fatalf("Create() = %v with audit target %q, want %q", err, audit.Target, a.ID)
	}
	got := e.store.agents[a.ID]
	if got == nil || !strings.HasPrefix(got.ID, "agent-") || got.CreatedBy != ann.UserID || got.Model != "gpt-4" ||
		got.Status != core.AgentInactive {
		t.Errorf("Create stored %+v", got)
	}
	if got.CreatedAt.IsZero() || !got.UpdatedAt.Equal(got.CreatedAt) || got.Version != 1 {
		t.Errorf("Create stored %+v, want version 1 with its times", got)
	}
}

func TestCreate_defaults(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a := &core.Agent{Name: "helper", Type: "free"}
	if err := e.Create(t.Context(), nil, ann, a); err != nil {
		t.Fatalf("Create() = %v", err)
	}
	if a.Status != core.AgentActive || string(a.Config) != "{}" || a.Model != "" {
		t.Errorf("Create stored %+v with config %s, want an active agent with config {}", a, a.Config)
	}
}

func TestActive(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.add("agent-on")
	e.add("agent-off", func(a *core.Agent) { a.Status = core.AgentInactive })
	// A message to an agent whose plugin is down fails with the error of the plugin, which has more detail.
	e.add("agent-broken", func(a *core.Agent) { a.Model = "claude" })
	e.plugins.broken = []core.Dependency{{Type: "chat", Model: "claude"}}
	for _, c := range []struct {
		actor core.Actor
		id    string
		want  core.Code
	}{
		{ann, "agent-on", ""},
		{ann, "agent-broken", ""},
		{ann, "agent-off", core.CodeConflict},
		{ann, "agent-none", core.CodeNotFound},
		{bob, "agent-off", core.CodeNotFound},
	} {
		a, err := e.Active(t.Context(), c.actor, c.id)
		if core.CodeOf(err) != c.want || err == nil && a.ID != c.id {
			t.Errorf("Active(%s, %s) = %v, %v, want code %q", c.actor.UserID, c.id, a, err, c.want)
		}
	}
	_, err := e.Active(t.Context(), ann, "agent-off")
	if want := `Agent "agent-off" is inactive. Set its status to active first.`; err == nil ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("Active() = %v, want %q", err, want)
	}
}

func TestBrokenAgentsHaveTheStatusError(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.add("agent-1", func(a *core.Agent) { a.Status = core.AgentInactive })
	e.add("agent-2", func(a *core.Agent) { a.Model = "claude" })
	e.plugins.broken = []core.Dependency{{Type: "chat", Model: "gpt-4"}}
	want := map[string]core.AgentStatus{"agent-1": core.AgentError, "agent-2": core.AgentActive}
	for id, status := range want {
		if a, err := e.Get(t.Context(), ann, id); err != nil || a.Status != status {
			t.Errorf("Get(%s) = %+v, %v, want status %s", id, a, err, status)
		}
	}
	list, total, err := e.List(t.Context(), ann, core.AgentFilter{})
	if err != nil || total != 2 {
		t.Fatalf("List() = %d agents, %v, want 2", total, err)
	}
	for _, a := range list {
		if a.Status != want[a.ID] {
			t.Errorf("List() has %s with status %s, want %s", a.ID, a.Status, want[a.ID])
		}
	}
	a, err := e.Update(t.Context(), nil, ann, "agent-1", func(*core.Agent) error { return nil })
	if err != nil || a.Status != core.AgentError || e.store.agents["agent-1"].Status != core.AgentInactive {
		t.Errorf("Update() = %+v, %v, and stored %+v, want error and inactive", a, err, e.store.agents["agent-1"])
	}
}

func TestList_byStatus(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.add("agent-1")
	e.plugins.broken = []core.Dependency{{Type: "chat", Model: "gpt-4"}}
	if _, _, err := e.List(t.Context(), ann, core.AgentFilter{Status: core.AgentError}); err != nil {
		t.Fatalf("List() = %v", err)
	}
	if got := e.store.filter.Broken; len(got) != 1 || got[0] != e.plugins.broken[0] {
		t.Errorf("List filters by the broken dependencies %v, want %v", got, e.plugins.broken)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stored, change func(*core.Agent)
		// wantField is that of the expected Invalid error, if there is one.
		wantField string
	}{
		"name":                      {change: func(a *core.Agent) { a.Name = "other" }},
		"model":                     {change: func(a *core.Agent) { a.Config = json.RawMessage(`{"model":"claude"}`) }},
		"unknown model":             {change: func(a *core.Agent) { a.Config = json.RawMessage(`{"model":"gpt-5"}`) }, wantField: "config.model"},
		"invalid config":            {change: func(a *core.Agent) { a.Config = json.RawMessage(`{"model":"gpt-4","max_tokens":0}`) }, wantField: "config.max_tokens"},
		"type with another schema":  {change: func(a *core.Agent) { a.Type = "free" }},
		"unknown type":              {change: func(a *core.Agent) { a.Type = "chta" }, wantField: "type"},
		"of a removed type":         {stored: func(a *core.Agent) { a.Type = "gone" }, change: func(a *core.Agent) { a.Status = core.AgentInactive }},
		"config of a removed type":  {stored: func(a *core.Agent) { a.Type = "gone" }, change: func(a *core.Agent) { a.Config = nil }, wantField: "type"},
		"config of a removed model": {stored: func(a *core.Agent) { a.Model = "gone" }, change: func(a *core.Agent) { a.Config = json.RawMessage(`{"model":"gone","max_tokens":1}`) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			e.add("agent-1", func(a *core.Agent) {
				if c.stored != nil {
					c.stored(a)
				}
			})
			before := *e.store.agents["agent-1"]
			got, err := e.Update(t.Context(), nil, ann, "agent-1", func(a *core.Agent) error {
				c.change(a)
				return nil
			})
			now := e.store.agents["agent-1"]
			if c.wantField != "" {
				if fieldOf(err) != c.wantField || now.Version != before.Version {
					t.Errorf("Update() = %v, want Invalid of %s", err, c.wantField)
				}
				return
			}
			if err != nil || got.Version != 2 || now.Version != 2 || now.UpdatedAt.IsZero() {
				t.Errorf("Update() = %+v, %v, and stored %+v, want version 2", got, err, now)
			}
		})
	}
}

func TestUpdate_keepsTheStoredStatusForError(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.add("agent-1", func(a *core.Agent) { a.Status = core.AgentInactive })
	_, err := e.Update(t.Context(), nil, ann, "agent-1", func(a *core.Agent) error {
		a.Status = core.AgentError
		return nil
	})
	if got := e.store.agents["agent-1"].Status; err != nil || got != core.AgentInactive {
		t.Errorf("Update() = %v, and stored the status %s, want inactive", err, got)
	}
}

func TestUpdate_repeatsTheChangeIfAnotherUpdateInterferes(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.add("agent-1")
	e.store.interfering = 2
	var versions []int64
	got, err := e.Update(t.Context(), nil, ann, "agent-1", func(a *core.Agent) error {
		versions = append(versions, a.Version)
		return nil
	})
	if err != nil || got.Version != 4 || len(versions) != 3 {
		t.Errorf("Update() = %+v, %v after changing the versions %v, want version 4 at the third try", got, err, versions)
	}
}

// fieldOf returns the first field of an Invalid error.
func fieldOf(err error) string {
	var e *core.Error
	if errors.As(err, &e) && e.Code == core.CodeValidation && len(e.Fields) > 0 {
		return e.Fields[0].Field
	}
	return ""
}
