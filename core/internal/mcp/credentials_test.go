package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/agents"
	"github.com/agentarea/agentarea/core/internal/mcp"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/dbtest"
)

// agentTypes has one agent type, which accepts all configs.
type agentTypes struct{}

func (agentTypes) AgentTypes() []core.AgentType {
	return []core.AgentType{{Type: "chat", Available: true}}
}
func (agentTypes) CheckModel(context.Context, string, string) error { return nil }
func (agentTypes) Broken([]core.Dependency) []core.Dependency       { return nil }

// credentialsEnv is Servers and agents on a real database.
type credentialsEnv struct {
	*mcp.Servers
	agents *agents.Service
	db     *storage.DB
	users  map[string]core.Actor
}

func newCredentialsEnv(t *testing.T, db *storage.DB) *credentialsEnv {
	t.Helper()
	transport := &fakeTransport{dial: modern(echo)}
	env := &credentialsEnv{
		db: db, agents: agents.New(db, db, agentTypes{}, nil), users: map[string]core.Actor{},
		Servers: mcp.New(mcp.Options{
			Store: db, Users: db, Encrypter: fakeEncrypter{"k"},
			Transports: &fakeTransports{stdio: transport, http: transport, tcp: transport},
		}),
	}
	t.Cleanup(func() {
		if err := env.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for name, role := range map[string]core.Role{
		"member": core.RoleMember, "other member": core.RoleMember, "admin": core.RoleAdmin, "other admin": core.RoleAdmin,
	} {
		u := &core.User{ID: core.NewID("user"), Username: name, Role: role, CreatedAt: time.Now(), UpdatedAt: time.Now()}
		if err := db.CreateUser(t.Context(), nil, u); err != nil {
			t.Fatal(err)
		}
		env.users[name] = core.Actor{UserID: u.ID, Role: role}
	}
	return env
}

// server creates a running server of a user, with the given sharing.
func (env *credentialsEnv) server(t *testing.T, owner, slug, sharing string) (*core.MCPServer, error) {
	t.Helper()
	s := &core.MCPServer{
		ID: core.NewID("server"), Name: slug, Slug: slug, Transport: "http", DesiredState: core.MCPDesiredRunning, Version: 1,
		CreatedBy: env.users[owner].UserID, CreatedAt: time.Now(), UpdatedAt: time.Now(),
	}
	setSharing(s, sharing)
	return s, env.Create(t.Context(), nil, env.users[owner], s, parsed(t, `{"url":"https://example.com/mcp"}`))
}

func setSharing(s *core.MCPServer, sharing string) {
	s.Shared, s.ShareCredentials = sharing == "shared", sharing == "credentials"
}

// change stores a change of a server as its creator.
func (env *credentialsEnv) change(t *testing.T, owner string, s *core.MCPServer, change func(*core.MCPServer)) {
	t.Helper()
	change(s)
	config, err := core.ParseMCPConfig(s.Config)
	if err == nil {
		err = env.Update(t.Context(), nil, env.users[owner], s, config)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// agent creates a shared agent that names a server by slug.
func (env *credentialsEnv) agent(t *testing.T, owner, slug string) (*core.Agent, error) {
	t.Helper()
	a := &core.Agent{
		Name: "a", Type: "chat", Shared: true, Config: json.RawMessage(fmt.Sprintf(`{"mcp_servers":[%q]}`, slug)),
	}
	return a, env.agents.Create(t.Context(), nil, env.users[owner], a)
}

// use starts a run of the agent as the caller, and calls the tool echo of its server. It returns the error of
// the run, and fails the test if the tool list and the call do not agree.
func (env *credentialsEnv) use(t *testing.T, caller string, a *core.Agent, slug string) error {
	t.Helper()
	found, err := env.agents.Active(t.Context(), env.users[caller], a.ID)
	if err != nil {
		t.Fatal(err)
	}
	run := &core.Run{
		ID: "run-1", UserID: env.users[caller].UserID, AgentID: found.ID, Config: found.Config,
		AgentOwner: found.CreatedBy, MCPServers: found.MCPServers,
	}
	tools, err := env.Toolbox().Tools(t.Context(), run)
	result, callErr := env.Toolbox().Call(t.Context(), run, 1,
		sdk.ToolCall{ID: "1", Name: slug + "__echo", Arguments: "{}"})
	switch {
	case callErr != nil:
		t.Errorf("Call() as %s = %v", caller, callErr)
	case err == nil && (names(tools) != slug+"__echo" || result.IsError):
		t.Errorf("as %s: Tools() = %q and Call() = %q, want the tool echo", caller, names(tools), textOf(result))
	case err != nil && (!result.IsError || !strings.Contains(textOf(result), fmt.Sprintf("MCP server %q ", slug))):
		t.Errorf("as %s: Tools() = %v, but Call() = %q", caller, err, textOf(result))
	}
	return err
}

// TestCredentials checks which callers of a shared agent use a server of the agent's owner, also after
// the server was renamed or deleted and others tried to get its slug.
func TestCredentials(t *testing.T) {
	t.Parallel()
	everybody := []string{"member", "other member", "admin", "other admin"}
	fates := map[string]struct {
		apply func(t *testing.T, env *credentialsEnv, owner string, s *core.MCPServer)
		gone  bool
	}{
		"kept": {apply: func(*testing.T, *credentialsEnv, string, *core.MCPServer) {}},
		"renamed": {apply: func(t *testing.T, env *credentialsEnv, owner string, s *core.MCPServer) {
			env.change(t, owner, s, func(s *core.MCPServer) { s.Slug += "-2" })
		}},
		"reused by its owner": {apply: func(t *testing.T, env *credentialsEnv, owner string, s *core.MCPServer) {
			slug := s.Slug
			env.change(t, owner, s, func(s *core.MCPServer) { s.Slug += "-2" })
			if _, err := env.server(t, owner, slug, "shared"); err != nil {
				t.Fatal(err)
			}
		}},
		"deleted": {gone: true, apply: func(t *testing.T, env *credentialsEnv, owner string, s *core.MCPServer) {
			if err := env.Delete(t.Context(), nil, env.users[owner], s.ID, core.MCPServerDeletion{Force: true}); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for database, open := range databases {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			env := newCredentialsEnv(t, open(t))
			for _, owner := range []string{"member", "admin"} {
				for sharing, callers := range map[string][]string{
					"private": {owner}, "credentials": everybody, "shared": everybody,
				} {
					for fate, f := range fates {
						t.Run(owner+", "+sharing+", "+fate, func(t *testing.T) {
							slug := core.Slugify(owner + "-" + sharing + "-" + fate)
							s, err := env.server(t, owner, slug, sharing)
							if err != nil {
								t.Fatal(err)
							}
							a, err := env.agent(t, owner, slug)
							if err != nil {
								t.Fatal(err)
							}
							f.apply(t, env, owner, s)
							for _, thief := range everybody {
								if thief == owner {
									continue
								}
								if _, err := env.server(t, thief, slug, "shared"); core.CodeOf(err) != core.CodeConflict {
									t.Errorf("%s registers the slug: got %v, want %s", thief, err, core.CodeConflict)
								}
							}
							for _, caller := range everybody {
								err := env.use(t, caller, a, slug)
								if want := !f.gone && slices.Contains(callers, caller); want && err != nil {
									t.Errorf("run of %s: %v, want it to use the server", caller, err)
								} else if !want {
									wantInvalid(t, err, "config.mcp_servers[0]", fmt.Sprintf("MCP server %q ", slug))
								}
							}
						})
					}
				}
			}
		})
	}
}

// TestCredentials_serverOfTheCaller checks that a shared agent never uses a server that is private to its
// caller: its owner cannot name the server, and it does not matter that the server was shared before.
func TestCredentials_serverOfTheCaller(t *testing.T) {
	t.Parallel()
	for database, open := range databases {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			env := newCredentialsEnv(t, open(t))
			for _, caller := range []string{"other member", "other admin"} {
				for _, owner := range []string{"member", "admin"} {
					for _, sharing := range []string{"private", "credentials"} {
						slug := core.Slugify(caller + "-" + owner + "-" + sharing)
						s, err := env.server(t, caller, slug, sharing)
						if err != nil {
							t.Fatal(err)
						}
						_, err = env.agent(t, owner, slug)
						wantInvalid(t, err, "config.mcp_servers[0]", fmt.Sprintf("MCP server %q does not exist", slug))

						env.change(t, caller, s, func(s *core.MCPServer) { setSharing(s, "shared") })
						a, err := env.agent(t, owner, slug)
						if err != nil {
							t.Fatal(err)
						}
						if err := env.use(t, caller, a, slug); err != nil {
							t.Errorf("run of %s with a shared server: %v", caller, err)
						}
						env.change(t, caller, s, func(s *core.MCPServer) { setSharing(s, sharing) })
						for _, user := range []string{caller, owner} {
							wantInvalid(t, env.use(t, user, a, slug), "config.mcp_servers[0]", "is not shared anymore")
						}
					}
				}
			}
		})
	}
}

// databases open a new database of each kind.
var databases = map[string]func(*testing.T) *storage.DB{
	"sqlite": func(t *testing.T) *storage.DB { return dbtest.Open(t) },
	"postgres": func(t *testing.T) *storage.DB {
		db, err := storage.Open(context.Background(), dbtest.Postgres(t), storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		return db
	},
}
