package mcp_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// tcpConfig is a config of the transport tcp, which does not guard the network.
const tcpConfig = `{"url":"https://example.com/mcp"}`

// store adds a server with the given transport that should run, as an earlier version of its plugin allowed.
func (env *testEnv) stored(transport, owner string) *core.MCPServer {
	s := &core.MCPServer{
		ID: "server-1", Slug: "fs", Transport: transport, Config: json.RawMessage(tcpConfig), Shared: true,
		DesiredState: core.MCPDesiredRunning, Version: 1, CreatedBy: owner,
	}
	env.store.rows[s.ID] = s
	return s
}

// wantAdminsOnly fails the test unless err is Forbidden and names the missing capability.
func wantAdminsOnly(t *testing.T, what string, err error) {
	t.Helper()
	if core.CodeOf(err) != core.CodeForbidden || !strings.Contains(err.Error(), "guarded_network") {
		t.Errorf("%s = %v, want %s with the capability guarded_network", what, err, core.CodeForbidden)
	}
}

// A member can neither configure nor start nor call a server whose transport does not guard the network.
func TestUnguardedTransport_member(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		ctx := t.Context()
		fresh := &core.MCPServer{
			ID: "server-2", Slug: "mine", Transport: "tcp", DesiredState: core.MCPDesiredRunning, CreatedBy: member.UserID,
		}
		wantAdminsOnly(t, "Create", env.Create(ctx, nil, member, fresh, parsed(t, tcpConfig)))
		if len(env.store.rows) != 0 {
			t.Error("Create() stored the server")
		}
		s := env.stored("tcp", member.UserID)
		renamed := *s
		renamed.Name = "renamed"
		wantAdminsOnly(t, "Update", env.Update(ctx, nil, member, &renamed, parsed(t, tcpConfig)))
		wantAdminsOnly(t, "Start", env.Start(ctx, nil, member, s.ID))
		wantAdminsOnly(t, "Restart", env.Restart(ctx, nil, member, s.ID))
		_, err := env.Find(ctx, member, s.Slug)
		wantAdminsOnly(t, "Find", err)

		// A server that a member created before does not start either.
		if err := env.Begin(ctx); err != nil {
			t.Fatal(err)
		}
		if st := env.wantStatus(s.ID, core.MCPError); !strings.Contains(st.LastError, "guarded_network") {
			t.Errorf("last error = %q, want the missing capability", st.LastError)
		}
		if n := len(env.transports.tcp.opened()); n != 0 {
			t.Errorf("the transport opened %d connections, want none", n)
		}
		// Its creator can still stop, move and delete it.
		if err := env.Stop(ctx, nil, member, s.ID); err != nil {
			t.Errorf("Stop() = %v", err)
		}
		moved := *env.store.rows[s.ID]
		moved.Transport = "http"
		if err := env.Update(ctx, nil, member, &moved, parsed(t, tcpConfig)); err != nil {
			t.Errorf("Update() to another transport = %v", err)
		}
		if err := env.Delete(ctx, nil, member, s.ID, core.MCPServerDeletion{}); err != nil {
			t.Errorf("Delete() = %v", err)
		}
	})
}

// An admin can use such a transport, also in runs of their agents. Runs in which a member takes part cannot.
func TestUnguardedTransport_admin(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		s := &core.MCPServer{
			ID: "server-1", Slug: "fs", Transport: "tcp", Shared: true, DesiredState: core.MCPDesiredRunning, Version: 1,
			CreatedBy: admin.UserID,
		}
		if err := env.Create(t.Context(), nil, admin, s, parsed(t, tcpConfig)); err != nil {
			t.Fatal(err)
		}
		env.wantStatus(s.ID, core.MCPRunning)
		if _, err := env.Find(t.Context(), admin, s.Slug); err != nil {
			t.Errorf("Find() as an admin = %v", err)
		}
		_, err := env.Find(t.Context(), member, s.Slug)
		wantAdminsOnly(t, "Find of a shared server", err)
		if err := env.Restart(t.Context(), nil, admin, s.ID); err != nil {
			t.Errorf("Restart() as an admin = %v", err)
		}
		env.wantStatus(s.ID, core.MCPRunning)
		for _, tt := range []struct {
			user, owner string
			allowed     bool
		}{
			{admin.UserID, admin.UserID, true},
			{admin.UserID, "root-2", true},
			{member.UserID, admin.UserID, false},
			{admin.UserID, member.UserID, false},
			{member.UserID, member.UserID, false},
			{admin.UserID, "deleted", false},
		} {
			run := &core.Run{
				ID: "run-1", UserID: tt.user, AgentOwner: tt.owner, Config: json.RawMessage(`{"mcp_servers":["fs"]}`),
				MCPServers: []core.MCPServerRef{{Slug: "fs", ID: s.ID}},
			}
			tools, err := env.Toolbox().Tools(t.Context(), run)
			result, callErr := env.Toolbox().Call(t.Context(), run, 1,
				sdk.ToolCall{ID: "1", Name: "fs__echo", Arguments: "{}"})
			if callErr != nil {
				t.Fatal(callErr)
			}
			switch {
			case tt.allowed && (err != nil || names(tools) != "fs__echo" || result.IsError):
				t.Errorf("run of %s, agent of %s: Tools() = %q, %v and Call() = %q, want the tool echo",
					tt.user, tt.owner, names(tools), err, textOf(result))
			case !tt.allowed:
				wantInvalid(t, err, "config.mcp_servers[0]", "guarded_network")
				env.wantFailure(result, `MCP server "fs"`, "guarded_network")
			}
		}
		// The creator is not an admin anymore.
		env.users[admin.UserID] = core.RoleMember
		if err := env.Restart(t.Context(), nil, core.Actor{UserID: "root-2", Role: core.RoleAdmin}, s.ID); err != nil {
			t.Fatal(err)
		}
		if st := env.wantStatus(s.ID, core.MCPError); !strings.Contains(st.LastError, "not an admin") {
			t.Errorf("last error = %q, want the role of the creator", st.LastError)
		}
	})
}

// An admin cannot move a member's server to such a transport, because it would not start.
func TestUnguardedTransport_serverOfMember(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		s := env.stored("http", member.UserID)
		moved := *s
		moved.Transport = "tcp"
		wantInvalid(t, env.Update(t.Context(), nil, admin, &moved, parsed(t, tcpConfig)), "transport", "not an admin")
	})
}

// Nobody is refused because of a plugin that has not started yet. Its capabilities are checked when it has.
func TestUnguardedTransport_notStarted(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		s := env.stored("http", member.UserID)
		s.DesiredState = core.MCPDesiredStopped
		env.transports.stopped = "http"
		if err := env.Start(t.Context(), nil, member, s.ID); err != nil {
			t.Errorf("Start() = %v", err)
		}
	})
}

// A member who calls a server while its plugin starts is refused as soon as the capabilities are known.
func TestUnguardedTransport_starting(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		s := env.stored("tcp", admin.UserID)
		if err := env.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		env.wantStatus(s.ID, core.MCPRunning)
		env.transports.stopped = "tcp"
		_, err := env.Find(t.Context(), member, s.Slug)
		wantAdminsOnly(t, "Find", err)
	})
}

// The same holds for a run whose call waits for the plugin.
func TestUnguardedTransport_startingInRun(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		s := env.stored("tcp", admin.UserID)
		env.transports.stopped = "tcp"
		if err := env.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		run := &core.Run{
			ID: "run-1", UserID: member.UserID, AgentOwner: admin.UserID, Config: json.RawMessage(`{"mcp_servers":["fs"]}`),
			MCPServers: []core.MCPServerRef{{Slug: "fs", ID: s.ID}},
		}
		result, err := env.Toolbox().Call(t.Context(), run, 1, sdk.ToolCall{ID: "1", Name: "fs__echo", Arguments: "{}"})
		if err != nil {
			t.Fatal(err)
		}
		env.wantFailure(result, `MCP server "fs"`, "guarded_network")
	})
}
