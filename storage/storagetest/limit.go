package storagetest

import (
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
)

// LimitsOfTest are the limits of the databases for RunLimits.
var LimitsOfTest = core.ObjectLimits{Agents: 2, MCPServers: 2, Sessions: 2, APIKeys: 2}

// RunLimits tests the limits of each user's objects. open returns an empty database with LimitsOfTest.
func RunLimits(t *testing.T, open func(t *testing.T) Stores) {
	f := newFixture(t, open(t))
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleAdmin)
	one := f.agent(t, v)
	newAgent := func(owner core.Actor) *core.Agent {
		a := *one
		a.ID, a.CreatedBy = core.NewID("agent"), owner.UserID
		return &a
	}
	newServer := func(owner core.Actor) *core.MCPServer {
		return f.unstoredServer(owner, func(s *core.MCPServer) { s.Slug = strings.ToLower(core.NewID("slug")) })
	}
	firstServer := newServer(v)
	ok(t, f.CreateMCPServer(f.ctx, nil, v, firstServer, false))
	firstKey := f.apiKey(t, v, "first")
	f.talk(t, one, v.UserID, "first")
	task := f.task(t, one, v.UserID)
	for _, c := range []struct {
		name, setting string
		create        func(owner core.Actor) error
		remove        func() error
	}{
		{"sessions", "--max-sessions", func(o core.Actor) error {
			return f.StartRun(f.ctx, nil, f.turn(one, o.UserID, core.NewID("session")))
		}, func() error { return f.DeleteSession(f.ctx, nil, one.ID, v.UserID, "first") }},
		{"API keys", "--max-api-keys", func(o core.Actor) error {
			k := *firstKey
			k.ID, k.Name, k.UserID = core.NewID("key"), core.NewID("name"), o.UserID
			return f.CreateAPIKey(f.ctx, nil, &k)
		}, func() error { return f.DeleteAPIKey(f.ctx, nil, v, firstKey.ID) }},
		{"MCP servers", "--max-mcp-servers", func(o core.Actor) error {
			return f.CreateMCPServer(f.ctx, nil, o, newServer(o), false)
		}, func() error { return f.DeleteMCPServer(f.ctx, nil, v, firstServer.ID, core.MCPServerDeletion{}) }},
		{"agents", "--max-agents", func(o core.Actor) error { return f.CreateAgent(f.ctx, nil, newAgent(o)) }, nil},
	} {
		ok(t, c.create(v))
		err := c.create(v)
		wantCode(t, err, core.CodeConflict)
		if want := "You have 2 " + c.name + ", which is the maximum. Delete one first, or ask an admin to raise " +
			c.setting; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("one more of the %s: got %v, want %q", c.name, err, want)
		}
		ok(t, c.create(other))
		ok(t, c.create(other))
		wantCode(t, c.create(other), core.CodeConflict) // an admin, too
		if c.remove != nil {
			ok(t, c.remove())
			ok(t, c.create(v))
		}
	}
	// A turn in a session that exists, and the session of a task, need no further session.
	f.begin(t, one, task)
}
