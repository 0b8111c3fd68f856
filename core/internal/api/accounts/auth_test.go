package accounts

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/core"
)

const password = "correct horse"

func TestSignIn(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	made := env.Do(t, "root", "POST", "/v1/users/",
		`{"username":"zoe","email":"zoe@example.com","password":"`+password+`"}`).Want(201)
	if strings.Contains(made.Body.String(), "argon2") || strings.Contains(made.Body.String(), password) ||
		made.JSON()["role"] != "member" {
		t.Errorf("created user = %s, want role member and no password", made.Body)
	}
	env.Do(t, "root", "POST", "/v1/users/",
		`{"username":"Zoe","email":"z@example.com","password":"`+password+`"}`).Want(409)
	env.Do(t, "root", "GET", made.Header().Get("Location"), "").Want(200)
	env.Do(t, "root", "GET", "/v1/users/user-0", "").Want(404)
	if l := env.Do(t, "root", "GET", "/v1/users?limit=2&offset=1", "").Want(200).JSON(); l["total"] != 5.0 ||
		len(l["users"].([]any)) != 2 {
		t.Errorf("list of users = %v, want 2 of 5", l)
	}

	got := env.Do(t, "", "POST", "/v1/auth/login", `{"username":"zoe","password":"`+password+`"}`).Want(200).JSON()
	u := got["user"].(map[string]any)
	if got["token_type"] != "bearer" || got["expires_in"] != 3600.0 || u["username"] != "zoe" ||
		u["email"] != "zoe@example.com" || u["id"] == "" {
		t.Errorf("login = %v, want a bearer token for zoe, valid for 3600 s", got)
	}
	env.Tokens["zoe"] = got["access_token"].(string)
	refresh := got["refresh_token"].(string)
	if me := env.Do(t, "zoe", "GET", "/v1/auth/me", "").Want(200).JSON(); me["id"] != u["id"] || me["role"] != "member" {
		t.Errorf("GET /v1/auth/me = %v, want zoe with role member", me)
	}

	stays := env.Do(t, "zoe", "POST", "/v1/auth/refresh", "").Want(200).JSON()
	if token, has := stays["refresh_token"]; has || stays["access_token"] == "" {
		t.Errorf("refresh with an access token = %v with refresh token %v, want an access token only", stays, token)
	}
	next := env.Do(t, "", "POST", "/v1/auth/refresh", `{"refresh_token":"`+refresh+`"}`).Want(200).JSON()
	if next["refresh_token"] == refresh {
		t.Error("the refresh token did not rotate")
	}
	env.Do(t, "zoe", "POST", "/v1/auth/logout", "").Want(204)
	env.Do(t, "zoe", "GET", "/v1/auth/me", "").Want(401)
	env.Do(t, "", "POST", "/v1/auth/refresh", `{"refresh_token":"`+next["refresh_token"].(string)+`"}`).Want(401)
	for _, body := range []string{
		`{"username":"zoe","password":"wrong"}`, `{"username":"nobody","password":"wrong"}`,
	} {
		if f := env.Do(t, "", "POST", "/v1/auth/login", body).Want(401).Failure(); f.Message != "Wrong username or password" {
			t.Errorf("login with a wrong password: got %+v, want the same message for every user", f)
		}
	}
	if l := env.Log(); strings.Contains(l, password) || strings.Contains(l, refresh) ||
		strings.Contains(l, env.Tokens["zoe"]) {
		t.Error("the log contains a secret")
	}
}

func TestRefresh_withoutToken(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.Do(t, "", "POST", "/v1/auth/refresh", "").Want(401)
	env.Do(t, "", "POST", "/v1/auth/refresh", "", "Authorization: Bearer forged").Want(401)
	if f := env.Do(t, "", "POST", "/v1/auth/refresh", `{}`).Want(400).Failure(); f.Details.Field != "refresh_token" {
		t.Errorf("refresh without a token: got %+v, want field refresh_token", f)
	}
	env.Do(t, "ann", "POST", "/v1/auth/refresh", `{}`).Want(200)
}

func TestRefresh_parallel(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.Do(t, "root", "POST", "/v1/users/",
		`{"username":"zoe","email":"zoe@example.com","password":"`+password+`"}`).Want(201)
	first := env.Do(t, "", "POST", "/v1/auth/login",
		`{"username":"zoe","password":"`+password+`"}`).Want(200).JSON()["refresh_token"].(string)
	got := make([]string, 50)
	var clients sync.WaitGroup
	for i := range got {
		clients.Go(func() {
			a := env.Do(t, "", "POST", "/v1/auth/refresh", `{"refresh_token":"`+first+`"}`)
			if a.Code == http.StatusOK {
				got[i] = a.JSON()["refresh_token"].(string)
			}
		})
	}
	clients.Wait()
	for _, next := range got {
		if next == "" || next != got[0] {
			t.Fatalf("got refresh tokens %q, want the same one for all", got)
		}
	}
}

func TestLogin_rateLimit(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	for range 10 {
		env.Do(t, "", "POST", "/v1/auth/login", `{"username":"nobody","password":"wrong"}`).Want(401)
	}
	a := env.Do(t, "", "POST", "/v1/auth/login", `{"username":"nobody","password":"wrong"}`).Want(429)
	if s := a.Header().Get("Retry-After"); s == "" || s == "0" || a.Failure().Code != core.CodeRateLimited {
		t.Errorf("got Retry-After %q and %s, want a positive number and %s", s, a.Body, core.CodeRateLimited)
	}
}

// A read deadline that stays would end the context of a turn that takes longer.
