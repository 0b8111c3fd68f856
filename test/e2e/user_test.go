package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

// newUser adds a user with a role and signs them in. On a shared server the name gets a number.
func (s *server) newUser(admin *client, name, role string) *client {
	s.t.Helper()
	name = s.uniqueName(name)
	admin.post("/v1/users/", object{
		"username": name, "email": name + "@example.com", "password": "a long password", "role": role,
	}).want(s.t, 201)
	return s.signInAs(name, "a long password")
}

// An object of another user looks like an object that does not exist.
func TestForeignObjects(t *testing.T) {
	t.Parallel()
	s := shared(t)
	admin := s.signIn()
	ann, bob := s.newUser(admin, "ann", "member"), s.newUser(admin, "bob", "member")
	agent := ann.newAgent("echo")
	run := ann.chat(agent, "hers", "Hello").Metadata.RunID
	for _, path := range []string{
		"GET /v1/agents/" + agent, "DELETE /v1/agents/" + agent, "GET /v1/agents/" + agent + "/chat/history",
		"GET /v1/agents/" + agent + "/sessions", "DELETE /v1/agents/" + agent + "/sessions/hers",
		"GET /v1/runs/" + run, "GET /v1/runs/" + run + "/events", "POST /v1/runs/" + run + "/cancel",
	} {
		method, path, _ := strings.Cut(path, " ")
		foreign := bob.do(method, path, nil).want(t, 404).failure(t)
		path = strings.NewReplacer(agent, "agent-0", run, "run-0").Replace(path)
		missing := bob.do(method, path, nil).want(t, 404).failure(t)
		same := strings.NewReplacer(agent, "agent-0", run, "run-0").Replace(foreign.Message)
		if foreign.Code != "NOT_FOUND" || same != missing.Message {
			t.Errorf("%s %s: got %+v for another user's object and %+v for none, want the same", method, path, foreign, missing)
		}
	}
	bob.post("/v1/agents/"+agent+"/chat", object{"message": "Hi"}).want(t, 404)
	bob.do("PATCH", "/v1/agents/"+agent, object{"name": "his"}).want(t, 404)

	// Others may use a shared agent, but not change it. Each user sees only their own messages.
	ann.do("PATCH", "/v1/agents/"+agent, object{"shared": true}).want(t, 200)
	bob.chat(agent, "hers", "Hi")
	if h := bob.history(agent, "hers"); len(h) != 2 || h[0].Content != "Hi" {
		t.Errorf("bob sees %+v, want his own messages", h)
	}
	if h := ann.history(agent, "hers"); len(h) != 2 || h[0].Content != "Hello" {
		t.Errorf("ann sees %+v, want her own messages", h)
	}
	if f := bob.do("PATCH", "/v1/agents/"+agent, object{"name": "his"}).want(t, 403).failure(t); f.Code != "FORBIDDEN" {
		t.Errorf("got error %+v, want FORBIDDEN", f)
	}
	admin.get("/v1/agents/"+agent).want(t, 200)
}

func TestRoles(t *testing.T) {
	t.Parallel()
	s := shared(t)
	admin := s.signIn()
	member, viewer := s.newUser(admin, "mia", "member"), s.newUser(admin, "vic", "viewer")
	agent := admin.newAgent("echo")
	admin.do("PATCH", "/v1/agents/"+agent, object{"shared": true}).want(t, 200)
	for _, path := range []string{"/v1/users/", "/v1/plugins"} {
		member.get(path).want(t, 403)
	}
	member.post("/v1/users/", object{"username": "x", "email": "x@example.com", "password": "a long password"}).want(t,
		403)
	viewer.get("/v1/agents/"+agent).want(t, 200)
	viewer.post("/v1/agents/", agentBody).want(t, 403)
	viewer.post("/v1/agents/"+agent+"/chat", object{"message": "Hi"}).want(t, 403)
	admin.post("/v1/users/",
		object{"username": member.username, "email": "m@example.com", "password": "a long password"}).want(t, 409)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.anonymous()
	signIn := func() tokens {
		return decode[tokens](t,
			c.post("/v1/auth/login", object{"username": "admin", "password": adminPassword}).want(t, 200))
	}
	me := func(token string) *reply { return (&client{t: t, url: s.url, token: token}).get("/v1/auth/me") }
	refresh := func(token string) *reply { return c.post("/v1/auth/refresh", object{"refresh_token": token}) }

	first := signIn()
	second := decode[tokens](t, refresh(first.RefreshToken).want(t, 200))
	third := decode[tokens](t, refresh(second.RefreshToken).want(t, 200))
	me(third.AccessToken).want(t, 200)
	renewed := decode[tokens](t,
		(&client{t: t, url: s.url, token: third.AccessToken}).post("/v1/auth/refresh", nil).want(t, 200))
	if renewed.AccessToken == "" || renewed.RefreshToken != "" {
		t.Errorf("refresh with an access token returns the refresh token %q, want only an access token", renewed.RefreshToken)
	}
	// Using a refresh token twice means that it was stolen, so the login ends.
	refresh(first.RefreshToken).want(t, 401)
	refresh(third.RefreshToken).want(t, 401)
	me(third.AccessToken).want(t, 401)

	out := signIn()
	other := signIn()
	(&client{t: t, url: s.url, token: out.AccessToken}).post("/v1/auth/logout", nil).want(t, 204)
	me(out.AccessToken).want(t, 401)
	refresh(out.RefreshToken).want(t, 401)
	me(other.AccessToken).want(t, 200)

	// The error does not reveal whether the user exists.
	wrong := c.post("/v1/auth/login", object{"username": "admin", "password": "not this one"}).want(t, 401).failure(t)
	unknown := c.post("/v1/auth/login", object{"username": "nobody", "password": "not this one"}).want(t, 401).failure(t)
	if wrong.Code != "UNAUTHORIZED" || wrong.Message != unknown.Message ||
		fmt.Sprint(wrong.Details) != fmt.Sprint(unknown.Details) {
		t.Errorf("got %+v for a wrong password and %+v for an unknown user, want the same", wrong, unknown)
	}
	for range 30 {
		if r := c.post("/v1/auth/login", object{"username": "victim", "password": "guess"}); r.status == 429 {
			if r.header.Get("Retry-After") == "" || r.failure(t).Code != "RATE_LIMITED" {
				t.Errorf("got %s %s, want RATE_LIMITED with Retry-After", r.header, r.body)
			}
			return
		}
	}
	t.Error("30 wrong passwords for one user are not limited")
}
