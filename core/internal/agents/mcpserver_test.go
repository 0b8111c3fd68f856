package agents

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/agentarea/agentarea/core"
)

// withServers returns an env with MCP servers of ann and bob.
func withServers(t *testing.T) *env {
	t.Helper()
	e := newEnv(t)
	e.servers = servers{
		"server-ann":    {ID: "server-ann", Slug: "ann-own", CreatedBy: ann.UserID},
		"server-bob":    {ID: "server-bob", Slug: "bob-own", CreatedBy: bob.UserID, ShareCredentials: true},
		"server-shared": {ID: "server-shared", Slug: "all", CreatedBy: bob.UserID, Shared: true},
	}
	e.Service = New(e.store, e.servers, e.plugins, nil)
	return e
}

func TestCreate_resolvesMCPServersAsTheOwner(t *testing.T) {
	t.Parallel()
	annAdmin := core.Actor{UserID: ann.UserID, Role: core.RoleAdmin}
	for name, c := range map[string]struct {
		owner     core.Actor
		config    string
		want      []core.MCPServerRef
		wantField string
	}{
		"none":                  {ann, `{}`, nil, ""},
		"own and shared":        {ann, `{"mcp_servers":["all","ann-own","all"]}`, []core.MCPServerRef{{Slug: "all", ID: "server-shared"}, {Slug: "ann-own", ID: "server-ann"}}, ""},
		"unknown":               {ann, `{"mcp_servers":["all","none"]}`, nil, "config.mcp_servers[1]"},
		"private":               {ann, `{"mcp_servers":["bob-own"]}`, nil, "config.mcp_servers[0]"},
		"private, admin":        {annAdmin, `{"mcp_servers":["bob-own"]}`, nil, "config.mcp_servers[0]"},
		"of another meaning":    {ann, `{"mcp_servers":{"bob-own":1}}`, nil, ""},
		"tools are not a list":  {ann, `{"mcp_servers":["bob-own"],"tools":1}`, nil, ""},
		"id instead of a slug":  {ann, `{"mcp_servers":["server-shared"]}`, nil, "config.mcp_servers[0]"},
		"empty":                 {ann, `{"mcp_servers":[""]}`, nil, "config.mcp_servers[0]"},
		"second of two unknown": {ann, `{"mcp_servers":["ann-own","x","y"]}`, nil, "config.mcp_servers[1]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := withServers(t)
			a := &core.Agent{Name: "a", Type: "free", Config: json.RawMessage(c.config)}
			err := e.Create(t.Context(), nil, c.owner, a)
			if c.wantField != "" {
				if fieldOf(err) != c.wantField || len(e.store.agents) > 0 {
					t.Errorf("Create() = %v, want Invalid of %s and nothing stored", err, c.wantField)
				}
				return
			}
			if err != nil || !slices.Equal(e.store.agents[a.ID].MCPServers, c.want) {
				t.Errorf("Create() = %v, and stored %v, want %v", err, e.store.agents[a.ID].MCPServers, c.want)
			}
		})
	}
}

func TestUpdate_resolvesMCPServers(t *testing.T) {
	t.Parallel()
	// move gives a server another slug, as its creator can do.
	move := func(e *env, id, slug string) {
		moved := *e.servers[id]
		moved.Slug = slug
		e.servers[id] = &moved
	}
	before := func(e *env) { move(e, "server-ann", "moved") }
	for name, c := range map[string]struct {
		prepare   func(e *env)
		config    string
		want      string // the id of the server
		wantField string
	}{
		"unchanged":                     {func(*env) {}, `{"mcp_servers":["ann-own"]}`, "server-ann", ""},
		"renamed":                       {before, `{"mcp_servers":["ann-own"]}`, "server-ann", ""},
		"renamed, changed config":       {before, `{"mcp_servers":["ann-own"],"tools":[]}`, "server-ann", ""},
		"slug of another server by now": {func(e *env) { before(e); move(e, "server-shared", "ann-own") }, `{"mcp_servers":["ann-own"]}`, "server-shared", ""},
		"deleted":                       {func(e *env) { delete(e.servers, "server-ann") }, `{"mcp_servers":["ann-own"]}`, "server-ann", ""},
		"deleted, changed config":       {func(e *env) { delete(e.servers, "server-ann") }, `{"mcp_servers":["ann-own"],"tools":[]}`, "", "config.mcp_servers[0]"},
		"private to the admin":          {func(*env) {}, `{"mcp_servers":["bob-own"]}`, "", "config.mcp_servers[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := withServers(t)
			a := &core.Agent{Name: "a", Type: "free", Config: json.RawMessage(`{"mcp_servers":["ann-own"]}`)}
			if err := e.Create(t.Context(), nil, ann, a); err != nil {
				t.Fatal(err)
			}
			c.prepare(e)
			// bob changes the agent of ann, as an admin can do.
			e.store.seenBy = bob.UserID
			got, err := e.Update(t.Context(), nil, bob, a.ID, func(a *core.Agent) error {
				a.Name, a.Config = "b", json.RawMessage(c.config)
				return nil
			})
			if c.wantField != "" {
				if fieldOf(err) != c.wantField {
					t.Errorf("Update() = %v, want Invalid of %s", err, c.wantField)
				}
				return
			}
			if err != nil || len(got.MCPServers) != 1 || got.MCPServers[0].ID != c.want {
				t.Errorf("Update() = %+v, %v, want server %s", got, err, c.want)
			}
		})
	}
}
