package storagetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/agentarea/agentarea/core"
)

// unstoredServer returns a remote MCP server with a unique slug that is not stored.
func (f *fixture) unstoredServer(v core.Actor, change ...func(*core.MCPServer)) *core.MCPServer {
	id := core.NewID("server")
	s := &core.MCPServer{
		ID: id, Name: "tools", Slug: core.Slugify(id), Transport: "http", DesiredState: core.MCPDesiredStopped,
		Config: json.RawMessage(`{"url":"https://example.com/mcp"}`), CreatedBy: v.UserID, CreatedAt: f.now, UpdatedAt: f.now,
	}
	for _, c := range change {
		c(s)
	}
	return s
}

// server creates an MCP server of v.
func (f *fixture) server(t *testing.T, v core.Actor, change ...func(*core.MCPServer)) *core.MCPServer {
	t.Helper()
	s := f.unstoredServer(v, change...)
	ok(t, f.CreateMCPServer(f.ctx, nil, v, s, false))
	return s
}

func serverIDs(list []*core.MCPServer) []string {
	all := []string{}
	for _, s := range list {
		all = append(all, s.ID)
	}
	return all
}

func testMCPServer(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	s := f.server(t, v, func(s *core.MCPServer) {
		s.Name, s.Description = "Übersetzer 翻訳 🧠", "quotes ' and \" and \\ and ?0 and ?"
		s.Slug, s.Transport = "my-server", "container"
		s.Config = json.RawMessage(`{"z": 9007199254740993, "headers":{"Authorization":"***"},"html":"<&>"}`)
		s.Secrets = []byte{0, 1, 0xff, 0}
		s.ShareCredentials = true
		s.Shared, s.DesiredState, s.Capabilities = true, core.MCPDesiredRunning, []string{"tools", "re\"sources"}
		s.CreatedAt = f.now.Add(999)
	})
	same(t, "Version", s.Version, int64(1))
	want := *s
	want.CreatedAt = f.now
	got, err := f.MCPServer(f.ctx, v, s.ID)
	ok(t, err)
	same(t, "MCPServer", got, &want)
	got, err = f.MCPServerBySlug(f.ctx, v, "my-server")
	ok(t, err)
	same(t, "MCPServerBySlug", got, &want)
	list, total, err := f.MCPServers(f.ctx, v, core.Page{Limit: 1})
	ok(t, err)
	same(t, "MCPServers", list, []*core.MCPServer{&want})
	same(t, "total", total, 1)
	list, err = f.MCPServersToRun(f.ctx)
	ok(t, err)
	same(t, "MCPServersToRun", list, []*core.MCPServer{&want})

	plain := f.server(t, v) // without secrets and capabilities
	got, err = f.MCPServer(f.ctx, v, plain.ID)
	ok(t, err)
	same(t, "MCPServer", got, plain)

	_, err = f.MCPServer(f.ctx, v, "server-none")
	wantCode(t, err, core.CodeNotFound)
	for _, slug := range []string{"none", "MY-SERVER", "", s.ID} {
		_, err = f.MCPServerBySlug(f.ctx, v, slug)
		wantCode(t, err, core.CodeNotFound)
	}
}

// testMCPServerSlug checks that slugs are unique among all servers, visible or not.
func testMCPServerSlug(t *testing.T, f *fixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	slug := func(name string) func(*core.MCPServer) { return func(s *core.MCPServer) { s.Slug = name } }
	a, b := f.server(t, v, slug("a")), f.server(t, other, slug("b"))

	taken := f.unstoredServer(other, slug("a"))
	err := f.CreateMCPServer(f.ctx, nil, other, taken, false)
	wantCode(t, err, core.CodeConflict)
	same(t, "error", err.Error(), `CONFLICT: The slug "a" is already in use. Choose another slug`)
	_, err = f.MCPServer(f.ctx, other, taken.ID)
	wantCode(t, err, core.CodeNotFound)
	again := f.unstoredServer(v, slug("c"))
	again.ID = a.ID
	wantCode(t, f.CreateMCPServer(f.ctx, nil, v, again, false), core.CodeConflict)

	change := *b
	change.Slug = "a"
	wantCode(t, f.UpdateMCPServer(f.ctx, nil, other, &change, false), core.CodeConflict)
	same(t, "Version after a failure", change.Version, int64(1))
	got, err := f.MCPServerBySlug(f.ctx, other, "b")
	ok(t, err)
	same(t, "after a rejected update", got, b)

	change.Slug = "c" // unused until this update
	ok(t, f.UpdateMCPServer(f.ctx, nil, other, &change, false))
}

// testMCPServerReservedSlug checks that the slug of a renamed or deleted server stays reserved for its
// creator, also if an admin renamed or deleted it.
func testMCPServerReservedSlug(t *testing.T, f *fixture) {
	owner, thief, root := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember), f.user(t, "root",
		core.RoleAdmin)
	create := func(v core.Actor, slug string) error {
		return f.CreateMCPServer(f.ctx, nil, v, f.unstoredServer(v, func(s *core.MCPServer) { s.Slug = slug }), false)
	}
	for _, free := range []struct {
		name string
		do   func(s *core.MCPServer, actor core.Actor) error
	}{
		{"renamed", func(s *core.MCPServer, actor core.Actor) error {
			change := *s
			change.Slug, change.CreatedBy = s.Slug+"-new", actor.UserID
			return f.UpdateMCPServer(f.ctx, nil, actor, &change, false)
		}},
		{"deleted", func(s *core.MCPServer, actor core.Actor) error {
			return f.DeleteMCPServer(f.ctx, nil, actor, s.ID, core.MCPServerDeletion{})
		}},
	} {
		for _, actor := range []core.Actor{owner, root} {
			t.Run(free.name+" by "+string(actor.Role), func(t *testing.T) {
				slug := free.name + "-by-" + string(actor.Role)
				s := f.server(t, owner, func(s *core.MCPServer) { s.Slug = slug })
				ok(t, free.do(s, actor))

				for _, other := range []core.Actor{thief, root} {
					err := create(other, slug)
					wantCode(t, err, core.CodeConflict)
					same(t, "error", err.Error(), `CONFLICT: The slug "`+slug+
						`" is reserved, because an MCP server of another user had it. Choose another slug`)
					own := f.server(t, other)
					own.Slug = slug
					wantCode(t, f.UpdateMCPServer(f.ctx, nil, other, own, false), core.CodeConflict)
				}
				_, err := f.MCPServerBySlug(f.ctx, root, slug)
				wantCode(t, err, core.CodeNotFound)

				ok(t, create(owner, slug))
				wantCode(t, create(thief, slug), core.CodeConflict)
			})
		}
	}

	// An update that keeps the slug reserves nothing, and the old slug of a server can be its slug again.
	s := f.server(t, owner, func(s *core.MCPServer) { s.Slug = "back" })
	for _, slug := range []string{"back", "forth", "back"} {
		s.Slug = slug
		ok(t, f.UpdateMCPServer(f.ctx, nil, owner, s, false))
	}
	wantCode(t, create(thief, "forth"), core.CodeConflict)
	wantCode(t, create(thief, "back"), core.CodeConflict)
	// A rejected change frees nothing.
	s.Slug, s.Version = "other", 1
	wantCode(t, f.UpdateMCPServer(f.ctx, nil, owner, s, false), core.CodePreconditionFailed)
	_, err := f.MCPServerBySlug(f.ctx, owner, "back")
	ok(t, err)
}

// testMCPServerReservedSlugLimit checks that reserved slugs do not add up without limit.
func testMCPServerReservedSlugLimit(t *testing.T, f *fixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	const limit = 1000
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for j := range limit / 20 {
				s := f.unstoredServer(v, func(s *core.MCPServer) { s.Slug = fmt.Sprint("used-", i*limit/20+j) })
				if err := f.CreateMCPServer(f.ctx, nil, v, s, false); err != nil {
					t.Error(err)
				}
				if err := f.DeleteMCPServer(f.ctx, nil, v, s.ID, core.MCPServerDeletion{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantCode(t, f.CreateMCPServer(f.ctx, nil, v, f.unstoredServer(v), false), core.CodeConflict)
	f.server(t, v, func(s *core.MCPServer) { s.Slug = "used-7" })
	f.server(t, other)
}

func testMCPServerSlugAtOnce(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	var stored atomic.Int64
	var wg sync.WaitGroup
	for range 40 {
		s := f.unstoredServer(v, func(s *core.MCPServer) { s.Slug = "one" })
		wg.Go(func() {
			switch err := f.CreateMCPServer(f.ctx, nil, v, s, false); {
			case err == nil:
				stored.Add(1)
			case core.CodeOf(err) != core.CodeConflict:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	same(t, "stored", stored.Load(), int64(1))
}

func testMCPServerVisibility(t *testing.T, f *fixture) {
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
			s := f.server(t, owner, func(s *core.MCPServer) { s.Shared = c.shared })
			check := func(what string, err error, want core.Code) {
				t.Helper()
				if want == "" {
					ok(t, err)
				} else if err == nil || core.CodeOf(err) != want {
					t.Errorf("%s: got %v, want %s", what, err, want)
				}
			}
			_, err := f.MCPServer(f.ctx, c.actor, s.ID)
			check("MCPServer", err, c.read)
			_, err = f.MCPServerBySlug(f.ctx, c.actor, s.Slug)
			check("MCPServerBySlug", err, c.read)
			list, total, err := f.MCPServers(f.ctx, c.actor, core.Page{Limit: 100})
			ok(t, err)
			same(t, "total", total, len(list))
			listed := false
			for _, one := range list {
				listed = listed || one.ID == s.ID
			}
			same(t, "listed", listed, c.read == "")

			b := *s
			b.Name = "changed"
			check("SetDesiredState", f.SetDesiredState(f.ctx, nil, c.actor, s.ID, core.MCPDesiredStopped), c.changed)
			check("UpdateMCPServer", f.UpdateMCPServer(f.ctx, nil, c.actor, &b, false), c.changed)
			check("DeleteMCPServer", f.DeleteMCPServer(f.ctx, nil, c.actor, s.ID, core.MCPServerDeletion{}), c.changed)
			got, err := f.MCPServer(f.ctx, admin, s.ID)
			if c.changed == "" {
				wantCode(t, err, core.CodeNotFound)
			} else {
				ok(t, err)
				same(t, "after rejected changes", got, s)
			}
		})
	}
}

// testMCPServerProcess checks that only admins can create and change a server that runs programs, even
// if another user created it.
func testMCPServerProcess(t *testing.T, f *fixture) {
	root := f.user(t, "root", core.RoleAdmin)
	for _, role := range []core.Role{core.RoleMember, core.RoleViewer, ""} {
		v := f.user(t, "user "+string(role), role)
		s := f.unstoredServer(v)
		wantCode(t, f.CreateMCPServer(f.ctx, nil, v, s, true), core.CodeForbidden)
		_, err := f.MCPServer(f.ctx, root, s.ID)
		wantCode(t, err, core.CodeNotFound)

		ok(t, f.CreateMCPServer(f.ctx, nil, v, s, false))
		stored := *s
		s.Transport, s.Config = "stdio", json.RawMessage(`{"command":"sh"}`)
		wantCode(t, f.UpdateMCPServer(f.ctx, nil, v, s, true), core.CodeForbidden)
		got, err := f.MCPServer(f.ctx, v, s.ID)
		ok(t, err)
		same(t, "after a rejected update", got, &stored)

		// After an admin changed it to run programs, its creator can still use, stop and delete it.
		ok(t, f.UpdateMCPServer(f.ctx, nil, root, s, true))
		s.Config = json.RawMessage(`{"command":"sh","args":["-c","id"]}`)
		wantCode(t, f.UpdateMCPServer(f.ctx, nil, v, s, true), core.CodeForbidden)
		ok(t, f.SetDesiredState(f.ctx, nil, v, s.ID, core.MCPDesiredRunning))
		ok(t, f.DeleteMCPServer(f.ctx, nil, v, s.ID, core.MCPServerDeletion{Version: 2}))

		// For a hidden server the error is NotFound, not Forbidden.
		hidden := f.server(t, root)
		wantCode(t, f.UpdateMCPServer(f.ctx, nil, v, hidden, true), core.CodeNotFound)
	}
	ok(t, f.CreateMCPServer(f.ctx, nil, root, f.unstoredServer(root), true))
}

func testMCPServerUpdate(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	s := f.server(t, v, func(s *core.MCPServer) {
		s.Secrets, s.DesiredState, s.Capabilities = []byte("old"), core.MCPDesiredRunning, []string{"tools"}
	})
	stale := *s
	b := core.MCPServer{
		ID: s.ID, Name: "new", Description: "words", Slug: "new", Transport: "sse",
		Config: json.RawMessage(`{"url":"https://example.com/sse"}`), Secrets: []byte("new"), Shared: true,
		ShareCredentials: true, Version: 1,
		// UpdateMCPServer must ignore the following fields.
		DesiredState: core.MCPDesiredStopped, Capabilities: []string{"none"}, CreatedBy: "somebody else", CreatedAt: f.at(7),
		UpdatedAt: f.at(9),
	}
	ok(t, f.UpdateMCPServer(f.ctx, nil, v, &b, false))
	same(t, "increased Version", b.Version, int64(2))
	want := b
	want.DesiredState, want.Capabilities, want.CreatedBy, want.CreatedAt = s.DesiredState, s.Capabilities, s.CreatedBy,
		s.CreatedAt
	got, err := f.MCPServer(f.ctx, v, s.ID)
	ok(t, err)
	same(t, "MCPServer", got, &want)

	wantCode(t, f.UpdateMCPServer(f.ctx, nil, v, &stale, false), core.CodePreconditionFailed)
	same(t, "Version after a failure", stale.Version, int64(1))
	wantCode(t, f.DeleteMCPServer(f.ctx, nil, v, s.ID, core.MCPServerDeletion{Version: 1}), core.CodePreconditionFailed)
	got, err = f.MCPServer(f.ctx, v, s.ID)
	ok(t, err)
	same(t, "MCPServer", got, &want)

	b.Secrets = nil // the slug is its own, and secrets can be removed
	ok(t, f.UpdateMCPServer(f.ctx, nil, v, &b, false))
	got, err = f.MCPServer(f.ctx, v, s.ID)
	ok(t, err)
	same(t, "Secrets", len(got.Secrets), 0)

	ok(t, f.DeleteMCPServer(f.ctx, nil, v, s.ID, core.MCPServerDeletion{Version: 3}))
	wantCode(t, f.UpdateMCPServer(f.ctx, nil, v, &b, false), core.CodeNotFound)
	wantCode(t, f.DeleteMCPServer(f.ctx, nil, v, s.ID, core.MCPServerDeletion{}), core.CodeNotFound)
	wantCode(t, f.SetDesiredState(f.ctx, nil, v, s.ID, core.MCPDesiredRunning), core.CodeNotFound)
}

// testMCPServerDesiredState checks that MCPServersToRun lists the servers of all users, and that
// SetDesiredState and SetMCPCapabilities do not change the version.
func testMCPServerDesiredState(t *testing.T, f *fixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	a := f.server(t, v, func(s *core.MCPServer) { s.DesiredState = core.MCPDesiredRunning })
	b := f.server(t, other, func(s *core.MCPServer) { s.CreatedAt = f.at(1) })
	c := f.server(t, other, func(s *core.MCPServer) { s.DesiredState, s.CreatedAt = core.MCPDesiredRunning, f.at(2) })
	wantToRun := func(want ...string) {
		t.Helper()
		list, err := f.MCPServersToRun(f.ctx)
		ok(t, err)
		same(t, "servers to run", serverIDs(list), append([]string{}, want...))
	}
	wantToRun(a.ID, c.ID)
	ok(t, f.SetDesiredState(f.ctx, nil, other, b.ID, core.MCPDesiredRunning))
	ok(t, f.SetDesiredState(f.ctx, nil, other, b.ID, core.MCPDesiredRunning))
	wantToRun(a.ID, b.ID, c.ID)
	ok(t, f.SetDesiredState(f.ctx, nil, admin, a.ID, core.MCPDesiredStopped))
	ok(t, f.SetDesiredState(f.ctx, nil, other, c.ID, core.MCPDesiredStopped))
	wantToRun(b.ID)

	ok(t, f.SetMCPCapabilities(f.ctx, b.ID, []string{"resources", "tools"}))
	want := *b
	want.DesiredState, want.Capabilities = core.MCPDesiredRunning, []string{"resources", "tools"}
	got, err := f.MCPServer(f.ctx, other, b.ID)
	ok(t, err)
	same(t, "after SetMCPCapabilities", got, &want)
	ok(t, f.SetMCPCapabilities(f.ctx, b.ID, nil))
	want.Capabilities = nil
	got, err = f.MCPServer(f.ctx, other, b.ID)
	ok(t, err)
	same(t, "after SetMCPCapabilities without capabilities", got, &want)
	ok(t, f.SetMCPCapabilities(f.ctx, "server-none", []string{"tools"}))
}

func testMCPServerList(t *testing.T, f *fixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	var want []string // newest first, the later id first in the same microsecond
	for i := range 6 {
		s := f.server(t, []core.Actor{v, other}[i%2], func(s *core.MCPServer) {
			s.CreatedAt, s.Shared = f.at(i/2), i%2 == 1
		})
		want = append([]string{s.ID}, want...)
	}
	f.server(t, other)
	for offset := range 7 {
		list, total, err := f.MCPServers(f.ctx, v, core.Page{Limit: 2, Offset: offset})
		ok(t, err)
		same(t, "total", total, 6)
		same(t, fmt.Sprint("from ", offset), serverIDs(list), append([]string{}, want[offset:min(offset+2, 6)]...))
	}
	_, total, err := f.MCPServers(f.ctx, admin, core.Page{Limit: 2})
	ok(t, err)
	same(t, "an admin's total", total, 7)
}

// testMCPServerInUse checks that a server that agents use is deleted only by force, and that the error names the
// agents that the actor can see.
func testMCPServerInUse(t *testing.T, f *fixture) {
	v, other, root := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember), f.user(t, "root", core.RoleAdmin)
	using := func(owner core.Actor, name string, servers ...*core.MCPServer) *core.Agent {
		return f.agent(t, owner, func(a *core.Agent) {
			a.Name = name
			for _, s := range servers {
				a.MCPServers = append(a.MCPServers, core.MCPServerRef{Slug: s.Slug, ID: s.ID})
			}
		})
	}
	refused := func(actor core.Actor, s *core.MCPServer, fields int, texts ...string) {
		t.Helper()
		err := f.DeleteMCPServer(f.ctx, nil, actor, s.ID, core.MCPServerDeletion{})
		wantCode(t, err, core.CodeConflict)
		var e *core.Error
		if !errors.As(err, &e) || len(e.Fields) != fields {
			t.Errorf("got %+v, want %d fields", err, fields)
		}
		if e.Object == nil || e.Object.ID != s.ID {
			t.Errorf("object = %+v, want server %s", e.Object, s.ID)
		}
		for _, text := range texts {
			if !strings.Contains(e.Message, text) {
				t.Errorf("message = %q, want it to contain %q", e.Message, text)
			}
		}
		_, err = f.MCPServer(f.ctx, actor, s.ID)
		ok(t, err)
	}
	one := f.server(t, v, func(s *core.MCPServer) { s.Slug, s.Shared = "one", true })
	two := f.server(t, v, func(s *core.MCPServer) { s.Slug = "two" })
	free := f.server(t, v, func(s *core.MCPServer) { s.Slug = "free" })
	mine := using(v, "mine", one, two)
	refused(v, one, 1, `"one" is used by 1 agent: "mine" (`+mine.ID+`).`, "force=true")
	refused(v, two, 1, `"two" is used by 1 agent: "mine" (`+mine.ID+`).`)
	theirs := using(other, "theirs", one)
	refused(v, one, 1, `used by 2 agents: "mine" (`+mine.ID+`), 1 more.`)
	refused(root, one, 2, "2 agents: ", `"mine" (`+mine.ID+`)`, `"theirs" (`+theirs.ID+`)`)
	for i := range 30 {
		using(v, fmt.Sprint("agent-", i), two)
	}
	refused(v, two, 20, "used by 31 agents: ", ", 11 more.")
	ok(t, f.DeleteMCPServer(f.ctx, nil, v, free.ID, core.MCPServerDeletion{}))
	// Another version is reported first.
	wantCode(t, f.DeleteMCPServer(f.ctx, nil, v, one.ID, core.MCPServerDeletion{Version: 7}), core.CodePreconditionFailed)
	wantCode(t, f.DeleteMCPServer(f.ctx, nil, v, one.ID, core.MCPServerDeletion{Version: 7, Force: true}),
		core.CodePreconditionFailed)
	wantCode(t, f.DeleteMCPServer(f.ctx, nil, other, one.ID, core.MCPServerDeletion{Force: true}), core.CodeForbidden)
	ok(t, f.DeleteMCPServer(f.ctx, nil, v, one.ID, core.MCPServerDeletion{Version: 1, Force: true}))
	ok(t, f.DeleteMCPServer(f.ctx, nil, v, two.ID, core.MCPServerDeletion{Force: true}))
	// Only an agent of another user uses the server.
	three := f.server(t, v, func(s *core.MCPServer) { s.Slug, s.Shared = "three", true })
	hidden := using(other, "hidden", three)
	refused(v, three, 0, `used by 1 agent that you cannot see.`)
	ok(t, f.DeleteAgent(f.ctx, nil, other, hidden.ID, core.AgentDeletion{}))
	ok(t, f.DeleteMCPServer(f.ctx, nil, v, three.ID, core.MCPServerDeletion{}))
}
