package storagetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

func shared(a *core.Agent) { a.Shared = true }

func testAgent(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v, func(a *core.Agent) {
		a.Name, a.Description = "Übersetzer 翻訳 🧠", "quotes ' and \" and \\ and ?0 and ?"
		// The text must not change: numbers above 2^53, the order and the spaces.
		a.Config = json.RawMessage(`{"z": 9007199254740993, "a":18446744073709551615,"n":1.0,"html":"<&>"}`)
		a.MCPServers = []core.MCPServerRef{{Slug: "files-here", ID: "server-1"}, {Slug: "never-resolved"}}
		a.CreatedAt = f.now.Add(999)
	})
	same(t, "Version", a.Version, int64(1))
	want := *a
	want.CreatedAt = f.now
	got, err := f.Agent(f.ctx, v, a.ID)
	ok(t, err)
	same(t, "Agent", got, &want)
	same(t, "Config", string(got.Config), string(a.Config))
	list, _, err := f.Agents(f.ctx, v, core.AgentFilter{Page: core.Page{Limit: 1}})
	ok(t, err)
	same(t, "Agents", list, []*core.Agent{&want})

	_, err = f.Agent(f.ctx, v, "agent-none")
	wantCode(t, err, core.CodeNotFound)
	wantCode(t, f.CreateAgent(f.ctx, nil, a), core.CodeConflict)
}

func testAgentVisibility(t *testing.T, f *fixture) {
	owner := f.user(t, "owner", core.RoleMember)
	for _, c := range []struct {
		name          string
		actor         core.Actor
		shared        bool
		read, changed core.Code
	}{
		{"owner", owner, false, "", ""},
		{"owner, shared", owner, true, "", ""},
		{"member", f.user(t, "member", core.RoleMember), false, core.CodeNotFound, core.CodeNotFound},
		{"member, shared", f.user(t, "member2", core.RoleMember), true, "", core.CodeForbidden},
		{"viewer", f.user(t, "viewer", core.RoleViewer), false, core.CodeNotFound, core.CodeNotFound},
		{"viewer, shared", f.user(t, "viewer2", core.RoleViewer), true, "", core.CodeForbidden},
		{"admin", f.user(t, "admin", core.RoleAdmin), false, "", ""},
		{"admin, shared", f.user(t, "admin2", core.RoleAdmin), true, "", ""},
		{"nobody", core.Actor{}, false, core.CodeNotFound, core.CodeNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := f.agent(t, owner, func(a *core.Agent) { a.Shared, a.Type = c.shared, c.name })
			check := func(what string, err error, want core.Code) {
				t.Helper()
				if want == "" {
					ok(t, err)
				} else if err == nil || core.CodeOf(err) != want {
					t.Errorf("%s: got %v, want %s", what, err, want)
				}
			}
			_, err := f.Agent(f.ctx, c.actor, a.ID)
			check("Agent", err, c.read)

			seen := 0
			if c.read == "" {
				seen = 1
			}
			list, total, err := f.Agents(f.ctx, c.actor, core.AgentFilter{Type: c.name, Page: core.Page{Limit: 5}})
			ok(t, err)
			same(t, "listed", []int{len(list), total}, []int{seen, seen})
			dependencies, err := f.AgentDependencies(f.ctx, c.actor)
			ok(t, err)
			found := 0
			for _, b := range dependencies {
				if b.Type == c.name {
					found++
				}
			}
			same(t, "dependencies", found, seen)

			b := *a
			b.Name = "changed"
			check("UpdateAgent", f.UpdateAgent(f.ctx, nil, c.actor, &b), c.changed)
			check("DeleteAgent", f.DeleteAgent(f.ctx, nil, c.actor, a.ID, core.AgentDeletion{}), c.changed)
			got, err := f.Agent(f.ctx, admin, a.ID)
			if c.changed == "" {
				wantCode(t, err, core.CodeNotFound)
			} else {
				ok(t, err)
				same(t, "Agent after refusals", got, a)
			}
		})
	}
}

func testAgentUpdate(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	a := f.agent(t, v)
	stale := *a
	b := core.Agent{
		ID: a.ID, Name: "new", Description: "words", Type: "other", Status: core.AgentInactive,
		Config: json.RawMessage(`{"model":"m2"}`), Model: "m2", Shared: true, Version: 1,
		MCPServers: []core.MCPServerRef{{Slug: "search", ID: "server-2"}},
		CreatedBy:  "somebody else", CreatedAt: f.at(7), UpdatedAt: f.at(9),
	}
	ok(t, f.UpdateAgent(f.ctx, nil, v, &b))
	same(t, "raised Version", b.Version, int64(2))
	want := b
	want.CreatedBy, want.CreatedAt = a.CreatedBy, a.CreatedAt
	got, err := f.Agent(f.ctx, v, a.ID)
	ok(t, err)
	same(t, "Agent", got, &want)

	wantCode(t, f.UpdateAgent(f.ctx, nil, v, &stale), core.CodePreconditionFailed)
	same(t, "Version after a failure", stale.Version, int64(1))
	wantCode(t, f.DeleteAgent(f.ctx, nil, v, a.ID, core.AgentDeletion{Version: 1}), core.CodePreconditionFailed)
	got, err = f.Agent(f.ctx, v, a.ID)
	ok(t, err)
	same(t, "Agent", got, &want)

	ok(t, f.UpdateAgent(f.ctx, nil, v, &b)) // the raised version is the stored one
	ok(t, f.DeleteAgent(f.ctx, nil, v, a.ID, core.AgentDeletion{Version: 3}))
	wantCode(t, f.UpdateAgent(f.ctx, nil, v, &b), core.CodeNotFound)
	wantCode(t, f.DeleteAgent(f.ctx, nil, v, a.ID, core.AgentDeletion{}), core.CodeNotFound)
}

func testAgentList(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	other := f.user(t, "bob", core.RoleMember)
	var want []string // newest first, the later id first in the same microsecond
	for i := range 6 {
		a := f.agent(t, v, func(a *core.Agent) { a.CreatedAt = f.at(i / 2) })
		want = append([]string{a.ID}, want...)
	}
	f.agent(t, other)
	for offset := range 7 {
		list, total, err := f.Agents(f.ctx, v, core.AgentFilter{Page: core.Page{Limit: 2, Offset: offset}})
		ok(t, err)
		same(t, "total", total, 6)
		same(t, fmt.Sprint("from ", offset), agentIDs(list), want[offset:min(offset+2, 6)])
	}
}

func agentIDs(list []*core.Agent) []string {
	ids := []string{}
	for _, a := range list {
		ids = append(ids, a.ID)
	}
	return ids
}

func testAgentFilter(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	add := func(name, typ, model string, status core.AgentStatus) {
		f.agent(t, v, func(a *core.Agent) { a.Name, a.Type, a.Model, a.Status = name, typ, model, status })
	}
	add("up", "chat", "echo", core.AgentActive)
	add("off", "chat", "echo", core.AgentInactive)
	add("down", "chat", "gone", core.AgentActive)
	add("down and off", "chat", "gone", core.AgentInactive)
	add("other", "it's", "", core.AgentActive)
	broken := []core.Dependency{
		{Type: "chat", Model: "gone"}, {Type: "none", Model: "echo"}, {Type: "it's", Model: "echo"},
	}
	for _, c := range []struct {
		name   string
		filter core.AgentFilter
		want   []string
	}{
		{"all", core.AgentFilter{Broken: broken}, []string{"other", "down and off", "down", "off", "up"}},
		{"type", core.AgentFilter{Type: "it's"}, []string{"other"}},
		{"no such type", core.AgentFilter{Type: "none"}, nil},
		{"active", core.AgentFilter{Status: core.AgentActive}, []string{"other", "down", "up"}},
		{"active, some broken", core.AgentFilter{Status: core.AgentActive, Broken: broken}, []string{"other", "up"}},
		{"inactive, some broken", core.AgentFilter{Status: core.AgentInactive, Broken: broken}, []string{"off"}},
		{"error", core.AgentFilter{Status: core.AgentError, Broken: broken}, []string{"down and off", "down"}},
		{"error of a type", core.AgentFilter{Status: core.AgentError, Broken: broken, Type: "it's"}, nil},
		{"error, none broken", core.AgentFilter{Status: core.AgentError}, nil},
		{
			"error without a model",
			core.AgentFilter{Status: core.AgentError, Broken: []core.Dependency{{Type: "it's"}}},
			[]string{"other"},
		},
	} {
		c.filter.Limit = 10
		list, total, err := f.Agents(f.ctx, v, c.filter)
		ok(t, err)
		var names []string
		for _, a := range list {
			names = append(names, a.Name)
		}
		same(t, c.name, names, c.want)
		same(t, c.name+" total", total, len(c.want))
	}
}

func testAgentManyBroken(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	f.agent(t, v)
	var broken []core.Dependency
	for i := range 3000 {
		broken = append(broken, core.Dependency{Type: "chat", Model: fmt.Sprint("model-", i)})
	}
	page := core.Page{Limit: 5}
	_, total, err := f.Agents(f.ctx, v, core.AgentFilter{Status: core.AgentActive, Broken: broken, Page: page})
	ok(t, err)
	same(t, "active", total, 1)
	broken = append(broken, core.Dependency{Type: "chat", Model: "echo"})
	_, total, err = f.Agents(f.ctx, v, core.AgentFilter{Status: core.AgentError, Broken: broken, Page: page})
	ok(t, err)
	same(t, "broken", total, 1)
}

func testAgentDependencies(t *testing.T, f *fixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	of := func(typ, model string) func(*core.Agent) {
		return func(a *core.Agent) { a.Type, a.Model = typ, model }
	}
	f.agent(t, v, of("chat", "b"))
	f.agent(t, v, of("chat", "a"))
	f.agent(t, v, of("chat", "a"))
	f.agent(t, other, of("chat", "private"))
	f.agent(t, other, of("loop", "a"), shared)
	got, err := f.AgentDependencies(f.ctx, v)
	ok(t, err)
	seen := map[core.Dependency]int{}
	for _, b := range got {
		seen[b]++
	}
	same(t, "dependencies", len(seen), len(got))
	for _, b := range []core.Dependency{
		{Type: "chat", Model: "a"}, {Type: "chat", Model: "b"}, {Type: "loop", Model: "a"},
	} {
		same(t, b.Type+" "+b.Model, seen[b], 1)
	}
	same(t, "dependencies", len(got), 3)
}

func testAgentDelete(t *testing.T, f *fixture) {
	v, guest := f.user(t, "ada", core.RoleMember), f.user(t, "guest", core.RoleMember)
	a, kept := f.agent(t, v, shared), f.agent(t, v, shared)
	var gone []traces
	for _, user := range []core.Actor{v, guest} {
		gone = append(gone, f.leaveTraces(t, a, user.UserID, "s"))
	}
	stays := f.leaveTraces(t, kept, guest.UserID, "s")
	ok(t, f.DeleteAgent(f.ctx, nil, v, a.ID, core.AgentDeletion{Version: a.Version}))
	for _, tr := range gone {
		f.wantTraces(t, tr, false)
	}
	f.wantTraces(t, stays, true)

	// A turn after the deletion fails and restores nothing.
	wantCode(t, f.StartRun(f.ctx, nil, f.turn(a, v.UserID, "s")), core.CodeNotFound)
	wantCode(t, f.StartRun(f.ctx, nil, f.turn(a, v.UserID, "new")), core.CodeNotFound)
}

func testAgentDeleteBusy(t *testing.T, f *fixture) {
	v, guest := f.user(t, "ada", core.RoleMember), f.user(t, "guest", core.RoleMember)
	a := f.agent(t, v, shared)
	f.talk(t, a, v.UserID, "s")
	s := f.start(t, a, guest.UserID, "s")
	wantCode(t, f.DeleteAgent(f.ctx, nil, v, a.ID, core.AgentDeletion{}), core.CodeConflict)
	_, err := f.Run(f.ctx, guest, s.Run.ID)
	ok(t, err)
	e := f.end(s.Run)
	e.Run.EndedAt = f.now.Add(time.Minute)
	ok(t, f.EndRun(f.ctx, e))
	ok(t, f.DeleteAgent(f.ctx, nil, v, a.ID, core.AgentDeletion{}))
}
