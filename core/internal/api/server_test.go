package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

const password = "correct horse"

func TestHealth(t *testing.T) {
	t.Parallel()
	var down, poor error
	b := newBench(t, func(o *Options) {
		o.Checks = []Check{
			{Name: "database", Ready: func(context.Context) error { return down }},
			{Name: "plugins", Degrades: true, Ready: func(context.Context) error { return poor }},
		}
	})
	got := b.do(t, "", "GET", "/health", "").want(200).json()
	if got["status"] != "healthy" || got["version"] != "1.0.0" || got["timestamp"] == nil || len(got) != 3 {
		t.Errorf("got %v", got)
	}
	if got := b.do(t, "", "GET", "/health/ready", "").want(200).json(); fmt.Sprint(got["status"], got["checks"]) != "ready[map[name:database status:ok] map[name:plugins status:ok]]" {
		t.Errorf("got %v", got)
	}
	poor = core.Unavailable("llm openai is restarting")
	if got := b.do(t, "", "GET", "/health/ready", "").want(200).json(); fmt.Sprint(got["checks"]) !=
		"[map[name:database status:ok] map[message:llm openai is restarting name:plugins status:degraded]]" {
		t.Errorf("got %v", got)
	}
	down = errBoom
	if f := b.do(t, "", "GET", "/health/ready/", "").want(503).failure(); f.Details.Field != "database" || strings.Contains(f.Details.Issue, "10.0.0.7") {
		t.Errorf("got %+v", f)
	}
	down = core.Unavailable("It is locked")
	if f := b.do(t, "", "GET", "/health/ready", "").want(503).failure(); f.Details.Issue != "It is locked" {
		t.Errorf("got %+v", f)
	}
	b.do(t, "", "GET", "/health", "").want(200)
	if h := b.do(t, "", "HEAD", "/health", "").want(200); h.Header().Get("X-Request-ID") == "" {
		t.Error("HEAD has no headers")
	}
}

func TestSigningInByTheContract(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	made := b.do(t, "root", "POST", "/v1/users/", `{"username":"zoe","email":"zoe@example.com","password":"`+password+`"}`).want(201)
	if strings.Contains(made.Body.String(), "argon2") || strings.Contains(made.Body.String(), password) || made.json()["role"] != "member" {
		t.Errorf("got %s", made.Body)
	}
	b.do(t, "root", "POST", "/v1/users/", `{"username":"Zoe","email":"z@example.com","password":"`+password+`"}`).want(409)
	b.do(t, "root", "GET", made.Header().Get("Location"), "").want(200)
	b.do(t, "root", "GET", "/v1/users/user-0", "").want(404)
	if l := b.do(t, "root", "GET", "/v1/users?limit=2&offset=1", "").want(200).json(); l["total"] != 5.0 || len(l["users"].([]any)) != 2 {
		t.Errorf("got %v", l)
	}

	got := b.do(t, "", "POST", "/v1/auth/login", `{"username":"zoe","password":"`+password+`"}`).want(200).json()
	u := got["user"].(map[string]any)
	if got["token_type"] != "bearer" || got["expires_in"] != 3600.0 || u["username"] != "zoe" || u["email"] != "zoe@example.com" || u["id"] == "" {
		t.Errorf("got %v", got)
	}
	b.tokens["zoe"] = got["access_token"].(string)
	refresh := got["refresh_token"].(string)
	if me := b.do(t, "zoe", "GET", "/v1/auth/me", "").want(200).json(); me["id"] != u["id"] || me["role"] != "member" {
		t.Errorf("got %v", me)
	}

	stays := b.do(t, "zoe", "POST", "/v1/auth/refresh", "").want(200).json()
	if stays["refresh_token"] != refresh {
		t.Error("a bearer token rotates")
	}
	next := b.do(t, "", "POST", "/v1/auth/refresh", `{"refresh_token":"`+refresh+`"}`).want(200).json()
	if next["refresh_token"] == refresh {
		t.Error("a refresh token does not rotate")
	}
	b.do(t, "zoe", "POST", "/v1/auth/logout", "").want(204)
	b.do(t, "zoe", "GET", "/v1/auth/me", "").want(401)
	b.do(t, "", "POST", "/v1/auth/refresh", `{"refresh_token":"`+next["refresh_token"].(string)+`"}`).want(401)
	for _, body := range []string{
		`{"username":"zoe","password":"wrong"}`, `{"username":"nobody","password":"wrong"}`,
	} {
		if f := b.do(t, "", "POST", "/v1/auth/login", body).want(401).failure(); f.Message != "Wrong username or password" {
			t.Errorf("got %+v", f)
		}
	}
	if l := b.log.String(); strings.Contains(l, password) || strings.Contains(l, refresh) || strings.Contains(l, b.tokens["zoe"]) {
		t.Error("a secret is in the log")
	}
}

func TestRefreshWithoutAToken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.do(t, "", "POST", "/v1/auth/refresh", "").want(401)
	b.do(t, "", "POST", "/v1/auth/refresh", "", "Authorization: Bearer forged").want(401)
	if f := b.do(t, "", "POST", "/v1/auth/refresh", `{}`).want(400).failure(); f.Details.Field != "refresh_token" {
		t.Errorf("got %+v", f)
	}
	b.do(t, "ann", "POST", "/v1/auth/refresh", `{}`).want(200)
}

func TestTokensAreAskedForEverywhere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for path, item := range b.api.huma.OpenAPI().Paths {
		if strings.HasPrefix(path, "/health") || path == "/v1/auth/login" || path == "/v1/auth/refresh" || path == "/v1/ws" {
			continue
		}
		for method, op := range map[string]any{
			"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete,
		} {
			for _, header := range []string{"X: ", "Authorization: Basic YTpi", "Authorization: Bearer a.b.c", "Authorization: Bearer "} {
				a := b.do(t, "", method, path, "", header)
				if a.Code == http.StatusMethodNotAllowed {
					continue
				}
				if a.Code != http.StatusUnauthorized || a.Header().Get("WWW-Authenticate") == "" {
					t.Errorf("%s %s with %q: %d (%v)", method, path, header, a.Code, op)
				}
			}
		}
	}
}

func TestFiftyParallelRefreshes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.do(t, "root", "POST", "/v1/users/", `{"username":"zoe","email":"zoe@example.com","password":"`+password+`"}`).want(201)
	first := b.do(t, "", "POST", "/v1/auth/login", `{"username":"zoe","password":"`+password+`"}`).want(200).json()["refresh_token"].(string)
	got := make([]string, 50)
	var clients sync.WaitGroup
	for i := range got {
		clients.Go(func() {
			a := b.do(t, "", "POST", "/v1/auth/refresh", `{"refresh_token":"`+first+`"}`)
			if a.Code == http.StatusOK {
				got[i] = a.json()["refresh_token"].(string)
			}
		})
	}
	clients.Wait()
	for _, next := range got {
		if next == "" || next != got[0] {
			t.Fatalf("they got %q", got)
		}
	}
}

func TestLoginTellsWhenToTryAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 10 {
		b.do(t, "", "POST", "/v1/auth/login", `{"username":"nobody","password":"wrong"}`).want(401)
	}
	a := b.do(t, "", "POST", "/v1/auth/login", `{"username":"nobody","password":"wrong"}`).want(429)
	if s := a.Header().Get("Retry-After"); s == "" || s == "0" || a.failure().Code != core.CodeRateLimited {
		t.Errorf("Retry-After is %q", s)
	}
}

func TestEveryAnswerHasSafeHeaders(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options) { o.PublicURL = "https://agents.example.com/" })
	for _, path := range []string{"/health", "/none", "/v1/agents/", "/docs", "/openapi.json"} {
		h := b.do(t, "", "GET", path, "").Header()
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" || h.Get("Referrer-Policy") == "" ||
			h.Get("Content-Security-Policy") == "" || h.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s has %v", path, h)
		}
	}
	if h := newBench(t).do(t, "", "GET", "/health", "").Header(); h.Get("Strict-Transport-Security") != "" {
		t.Error("it asks for https where there is none")
	}
}

func TestPluginsTypesAndModels(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	types := b.do(t, "ann", "GET", "/v1/agent-types", "").want(200).json()["agent_types"].([]any)
	if schema := types[0].(map[string]any)["config_schema"].(map[string]any); len(types) != 3 || schema["required"] == nil {
		t.Errorf("got %v", types)
	}
	models := b.do(t, "ann", "GET", "/v1/models/", "").want(200).json()["models"].([]any)
	if m := models[0].(map[string]any); m["id"] != "openai/gpt-4" || m["provider"] != "openai" {
		t.Errorf("got %v", models)
	}
	plugins := b.do(t, "root", "GET", "/v1/plugins", "").want(200).json()["plugins"].([]any)
	if p := plugins[0].(map[string]any); p["kind"] != "agent" || p["label"] != "chat" || p["state"] != "running" || p["version"] != "" {
		t.Errorf("got %v", plugins)
	}
}

// A read deadline that stays would end the context of a turn that takes longer.
func TestNoReadDeadlineStaysOnTheConnection(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addAgent("agent-1", "ann")
	watch := &deadlines{}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/agents/agent-1/chat", strings.NewReader(`{"message":"hi"}`))
	r.Header.Set("Authorization", "Bearer "+b.tokens["ann"])
	b.handler.ServeHTTP(&deadlineWriter{httptest.NewRecorder(), watch}, r)
	if !watch.set || !watch.last.IsZero() {
		t.Errorf("the last deadline is %v", watch.last)
	}
}

type deadlines struct {
	set  bool
	last time.Time
}

type deadlineWriter struct {
	*httptest.ResponseRecorder
	*deadlines
}

func (w *deadlineWriter) SetReadDeadline(t time.Time) error {
	w.set, w.last = true, t
	return nil
}

func TestAClientThatLeavesIsNoPanic(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/agents/", nil)
	r.Header.Set("Authorization", "Bearer "+b.tokens["ann"])
	b.handler.ServeHTTP(deafWriter{httptest.NewRecorder()}, r)
	if l := b.log.String(); strings.Contains(l, "panic") || !strings.Contains(l, "status=200") {
		t.Errorf("the log says %s", l)
	}
}

// deafWriter is the connection of a client that has left.
type deafWriter struct{ *httptest.ResponseRecorder }

func (deafWriter) Write([]byte) (int, error) { return 0, http.ErrHandlerTimeout }
