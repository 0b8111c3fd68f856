package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func (s *server) userID(c *client) string {
	s.t.Helper()
	return decode[struct{ ID string }](s.t, c.get("/v1/auth/me").want(s.t, 200)).ID
}

func (c *client) newKey(name string, scopes ...string) *client {
	c.t.Helper()
	r := c.post("/v1/api-keys/", object{"name": name, "scopes": scopes}).want(c.t, 201)
	return &client{t: c.t, url: c.url, token: decode[struct{ Key string }](c.t, r).Key}
}

// Disabling a user on one server ends the user's access on the other one, too. The times that pass until
// then are tested in core/internal/auth and core/internal/api.
func TestDisabledUserLosesAccess(t *testing.T) {
	t.Parallel()
	a, b := twoServers(t)
	admin := a.signIn()
	ann := a.newUser(admin, "ann", "member")
	other := &client{t: t, url: b.url, token: ann.token}
	key := other.newKey("ci", "*")
	agent := ann.newAgent("echo")
	streams := []*stream{
		ann.startTurn(agent, "a", "/tokens 10000 /delay 10ms"),
		other.startTurn(agent, "b", "/tokens 10000 /delay 10ms"), key.startTurn(agent, "c", "/tokens 10000 /delay 10ms"),
	}
	sockets := []*socket{ann.dialWebSocket(), other.dialWebSocket(), key.dialWebSocket()}
	for _, s := range streams {
		s.readTokens(3)
	}
	for _, w := range sockets {
		w.subscribe("tasks")
	}

	id := a.userID(ann)
	admin.do("PATCH", "/v1/users/"+id, object{"disabled": true}).want(t, 200)
	for name, c := range map[string]*client{"the same server": ann, "the other server": other, "a key": key} {
		eventually(t, "status 401 for "+name, func() bool { return c.get("/v1/auth/me").status == 401 })
	}
	for _, s := range streams {
		if last := s.readAll(); last.Type != "error" || last.Error.Code != "UNAUTHORIZED" {
			t.Errorf("the stream ends with %s, want UNAUTHORIZED", last.data)
		}
	}
	for _, w := range sockets {
		for {
			_, data, err := w.conn.Read(w.ctx)
			if err == nil {
				continue
			}
			if websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
				t.Errorf("the WebSocket ends with %v after %s, want a policy violation", err, data)
			}
			break
		}
	}

	nobody := &client{t: t, url: b.url}
	nobody.post("/v1/auth/login", object{"username": "ann", "password": "a long password"}).want(t, 401)
	admin.do("PATCH", "/v1/users/"+id, object{"disabled": false}).want(t, 200)
	ann.get("/v1/auth/me").want(t, 401) // the login stays ended
	eventually(t, "the API key of the enabled user to work again",
		func() bool { return key.get("/v1/auth/me").status == 200 })
	if again := b.signInAs("ann", "a long password"); b.userID(again) != id {
		t.Error("signing in again returns another user")
	}
}

// A stream that an admin has opened ends when the user loses the role.
func TestRemovedRoleEndsStreams(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	admin := s.signIn()
	boss := s.newUser(admin, "boss", "admin")
	agent := admin.newAgent("echo")
	saying := admin.startTurn(agent, "a", "/tokens 10000 /delay 10ms")
	saying.readTokens(3)
	run := saying.first().RunID
	watched, socket := boss.runEvents(run, 0), boss.dialWebSocket()
	watched.readTokens(3)
	socket.subscribe("agent." + agent + ".events")

	admin.do("PATCH", "/v1/users/"+s.userID(boss), object{"role": "member"}).want(t, 200)
	boss.get("/v1/runs/"+run).want(t, 404)
	if last := watched.readAll(); last.Type != "error" {
		t.Errorf("the stream ends with %s, want an error", last.data)
	}
	for {
		if _, _, err := socket.conn.Read(socket.ctx); err != nil {
			break
		}
	}
	f := admin.do("PATCH", "/v1/users/"+s.userID(admin), object{"role": "member"}).want(t, 409).failure(t)
	if !strings.Contains(f.Message, "Make another user an admin first") {
		t.Errorf("got message %q for the last admin, want what to do", f.Message)
	}
}

// An API key works wherever an access token works, within its scopes.
func TestAPIKeyEverywhere(t *testing.T) {
	t.Parallel()
	s := shared(t)
	admin := s.signIn()
	made := decode[struct{ ID, Key, Name string }](t,
		admin.post("/v1/api-keys/", object{"name": "all", "scopes": []string{"*"}}).want(t, 201))
	key := &client{t: t, url: s.url, token: made.Key}
	agent := key.newAgent("echo")
	if got := key.chat(agent, "s", "Hello").Message; got != "Hello" {
		t.Errorf("got answer %q, want Hello", got)
	}
	w := key.dialWebSocket()
	w.subscribe("agent." + agent + ".events")
	server := key.newMCPServer("everything", object{"command": "true"})
	gateway := func(c *client) int {
		r := c.do("POST", "/mcp/everything/mcp", object{"jsonrpc": "2.0", "id": 1, "method": "ping"},
			"Accept: application/json, text/event-stream")
		return r.status
	}
	chat := key.newKey("chat", "chat:write")
	if got := gateway(chat); got != 403 {
		t.Errorf("the gateway returns %d for a key without mcp:write, want 403", got)
	}
	if got := gateway(key); got == http.StatusUnauthorized || got == http.StatusForbidden || got == http.StatusNotFound {
		t.Errorf("the gateway returns %d for a key", got)
	}
	if f := chat.get("/v1/mcp-servers/"+server.ID).want(t, 403).failure(t); !strings.Contains(f.Message, "mcp:read") {
		t.Errorf("got message %q for a missing scope, want its name", f.Message)
	}
	socket := chat.dialWebSocket()
	socket.subscribe("agent." + agent + ".events")
	socket.send(object{"type": "subscribe", "channel": "tasks"})
	if m := socket.receive(); m.Type != "error" || !strings.Contains(m.raw, "tasks:read") {
		t.Errorf("subscribing without the scope returns %s, want an error that names it", m.raw)
	}

	// The key is in the reply to its creation only.
	for _, path := range []string{"/v1/api-keys/", "/v1/api-keys/" + made.ID, "/v1/audit"} {
		if r := admin.get(path).want(t, 200); strings.Contains(string(r.body), made.Key) {
			t.Errorf("%s contains the key", path)
		}
	}
	type described struct {
		LastUsedAt time.Time `json:"last_used_at"`
	}
	if d := decode[described](t,
		admin.get("/v1/api-keys/"+made.ID).want(t, 200)); time.Since(d.LastUsedAt) > 2*time.Minute {
		t.Errorf("got last_used_at %v, want now", d.LastUsedAt)
	}
	admin.do("DELETE", "/v1/api-keys/"+made.ID, nil).want(t, 204)
	key.get("/v1/auth/me").want(t, 401)
	for {
		if _, _, err := w.conn.Read(w.ctx); err != nil {
			break
		}
	}
	for field, body := range map[string]object{
		"name":       {"scopes": []string{"*"}},
		"scopes":     {"name": "x"},
		"scopes[0]":  {"name": "x", "scopes": []string{"everything"}},
		"expires_at": {"name": "x", "scopes": []string{"*"}, "expires_at": "2001-01-01T00:00:00Z"},
	} {
		if f := admin.post("/v1/api-keys/", body).want(t, 400).failure(t); f.Details.Field != field {
			t.Errorf("%v: got field %q, want %q", body, f.Details.Field, field)
		}
	}
}

// Changing the password ends every login of the user except the one that changes it.
func TestPasswords(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	admin := s.signIn()
	ann := s.newUser(admin, "ann", "viewer")
	elsewhere := s.signInAs("ann", "a long password")
	if f := ann.post("/v1/auth/password",
		object{"current_password": "x", "new_password": "another long password"}).want(t,
		400).failure(t); f.Details.Field != "current_password" {
		t.Errorf("got error %+v, want field current_password", f)
	}
	ann.post("/v1/auth/password",
		object{"current_password": "a long password", "new_password": "another long password"}).want(t, 204)
	ann.get("/v1/auth/me").want(t, 200)
	elsewhere.get("/v1/auth/me").want(t, 401)
	s.signInAs("ann", "another long password")

	admin.post("/v1/users/"+s.userID(ann)+"/password", object{"password": "a third long password"}).want(t, 204)
	ann.get("/v1/auth/me").want(t, 401)
	s.signInAs("ann", "a third long password")

	// An admin who has lost the password resets it with the command while the server runs.
	p := run(t, s.dir, nil, "users", "reset-password", "admin", "--data-dir", "data")
	if code := p.exitCode(t); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.stderr)
	}
	admin.get("/v1/users/").want(t, 401)
	again := s.signInAs("admin", strings.Fields(p.stdout.String())[6])
	again.get("/v1/users/").want(t, 200)
	if r := again.get("/v1/audit?action=reset-password&limit=1").want(t, 200); !strings.Contains(string(r.body),
		"(command line)") {
		t.Errorf("got audit %s, want the command line as the user", r.body)
	}
}
