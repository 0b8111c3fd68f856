package storagetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
)

// testConflictDetails checks that the errors of refused changes name the field, the object and the run.
func testConflictDetails(t *testing.T, f *fixture) {
	v, other, root := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember), f.user(t, "root", core.RoleAdmin)
	eve := &core.User{
		ID: core.NewID("user"), Username: "eve", Email: "eve@example.com", Role: core.RoleMember,
		CreatedAt: f.now, UpdatedAt: f.now,
	}
	ok(t, f.CreateUser(f.ctx, nil, eve))
	a := f.agent(t, v, func(a *core.Agent) { a.Shared = true })
	key := f.apiKey(t, v, "ci")
	private := f.server(t, v, func(s *core.MCPServer) { s.Slug = "private" })
	shared := f.server(t, v, func(s *core.MCPServer) { s.Slug, s.Shared = "shared", true })
	busy := f.start(t, a, v.UserID, "busy")
	file := f.file(t, v)

	withSlug := func(actor core.Actor, slug string) error {
		s := f.unstoredServer(actor, func(s *core.MCPServer) { s.Slug = slug })
		return f.CreateMCPServer(f.ctx, nil, actor, s, false)
	}
	createUser := func(change func(*core.User)) error {
		u := *eve
		u.ID, u.Username, u.Email = core.NewID("user"), "new", "new@example.com"
		change(&u)
		return f.CreateUser(f.ctx, nil, &u)
	}
	for name, c := range map[string]struct {
		do          func() error
		code        core.Code
		field       string
		noun, id    string
		run, inText string
	}{
		"username in use": {
			func() error { return createUser(func(u *core.User) { u.Username = "EVE" }) },
			core.CodeConflict, "username", "user", eve.ID, "", `"EVE"`,
		},
		"email in use": {
			func() error { return createUser(func(u *core.User) { u.Email = eve.Email }) },
			core.CodeConflict, "email", "user", eve.ID, "", eve.Email,
		},
		"email of another user": {func() error {
			_, err := f.UpdateUser(f.ctx, nil, other.UserID, core.UserUpdate{Email: &eve.Email, At: f.now})
			return err
		}, core.CodeConflict, "email", "user", eve.ID, "", eve.Email},
		"last admin": {func() error {
			member := core.RoleMember
			_, err := f.UpdateUser(f.ctx, nil, root.UserID, core.UserUpdate{Role: &member, At: f.now})
			return err
		}, core.CodeConflict, "", "user", root.UserID, "", "last enabled admin"},
		"name of a key": {func() error {
			again := *key
			again.ID = core.NewID("key")
			return f.CreateAPIKey(f.ctx, nil, &again)
		}, core.CodeConflict, "name", "API key", key.ID, "", `"ci"`},
		"slug of a server": {
			func() error { return withSlug(v, "private") },
			core.CodeConflict, "slug", "MCP server", private.ID, "", `"private"`,
		},
		"slug of a shared server": {
			func() error { return withSlug(other, "shared") },
			core.CodeConflict, "slug", "MCP server", shared.ID, "", `"shared"`,
		},
		"slug of a hidden server": {
			func() error { return withSlug(other, "private") }, core.CodeConflict, "slug", "", "", "", `"private"`,
		},
		"busy session": {
			func() error { return f.StartRun(f.ctx, nil, f.turn(a, v.UserID, "busy")) },
			core.CodeConflict, "session_id", "session", "busy", busy.Run.ID,
			`Session "busy" is busy with run ` + busy.Run.ID + ". Wait for it, or cancel it with POST /v1/runs/" + busy.Run.ID +
				"/cancel.",
		},
		"deletion of a busy session": {
			func() error { return f.DeleteSession(f.ctx, nil, a.ID, v.UserID, "busy") },
			core.CodeConflict, "session_id", "session", "busy", busy.Run.ID, "is busy with run",
		},
		"deletion of a busy agent": {
			func() error { return f.DeleteAgent(f.ctx, nil, v, a.ID, core.AgentDeletion{}) },
			core.CodeConflict, "", "agent", a.ID, "", "active runs",
		},
		"deletion of a busy user": {func() error {
			return f.BeginUserDeletion(f.ctx, core.UserDeletion{UserID: v.UserID, At: f.now})
		}, core.CodeConflict, "", "user", v.UserID, busy.Run.ID, busy.Run.ID},
		"agent of another user": {
			func() error { return f.DeleteAgent(f.ctx, nil, other, a.ID, core.AgentDeletion{}) },
			core.CodeForbidden, "", "agent", a.ID, "", "creator",
		},
		"server of another user": {
			func() error { return f.DeleteMCPServer(f.ctx, nil, other, shared.ID, core.MCPServerDeletion{}) },
			core.CodeForbidden, "", "MCP server", shared.ID, "", "creator",
		},
		"changed agent": {
			func() error { return f.DeleteAgent(f.ctx, nil, v, a.ID, core.AgentDeletion{Version: 7}) },
			core.CodePreconditionFailed, "", "agent", a.ID, "", "changed",
		},
		"changed server": {
			func() error { return f.DeleteMCPServer(f.ctx, nil, v, private.ID, core.MCPServerDeletion{Version: 7}) },
			core.CodePreconditionFailed, "", "MCP server", private.ID, "", "changed",
		},
		"changed file": {func() error {
			_, err := f.DeleteFile(f.ctx, nil, v, file.ID, 7, f.now)
			return err
		}, core.CodePreconditionFailed, "", "file", file.ID, "", "changed"},
		"unknown agent": {func() error {
			_, err := f.Agent(f.ctx, v, "agent-0")
			return err
		}, core.CodeNotFound, "", "agent", "agent-0", "", `"agent-0"`},
	} {
		err := c.do()
		wantCode(t, err, c.code)
		var e *core.Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: got %v, want a core.Error", name, err)
		}
		field, object, run := "", core.ObjectRef{}, ""
		if len(e.Fields) > 0 {
			field = e.Fields[0].Field
		}
		if e.Object != nil {
			object = *e.Object
		}
		if e.Run != nil {
			run = e.Run.ID
		}
		if field != c.field || object != (core.ObjectRef{Noun: c.noun, ID: c.id}) || run != c.run ||
			!strings.Contains(e.Message, c.inText) {
			t.Errorf("%s: got %q with field %q, object %v and run %q, want %q with field %q, object %s %s and run %q",
				name, e.Message, field, object, run, c.inText, c.field, c.noun, c.id, c.run)
		}
	}
}
