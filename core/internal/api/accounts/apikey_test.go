package accounts

import (
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

const goodKey = `{"name":"ci","scopes":["*"]}`

func TestAPIKey(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	made := env.Do(t, "ann", "POST", "/v1/api-keys/",
		`{"name":"ci","scopes":["agents:read","chat:write"],"expires_at":"`+expires.Format(time.RFC3339)+`"}`).Want(201)
	got := made.JSON()
	id, _ := got["id"].(string)
	key, _ := got["key"].(string)
	if !strings.HasPrefix(id, "key-") || !strings.HasPrefix(key, "aak_") ||
		made.Header().Get("Location") != "/v1/api-keys/"+id {
		t.Fatalf("POST /v1/api-keys/ = %s with Location %q, want an id and a key", made.Body, made.Header().Get("Location"))
	}
	if got["name"] != "ci" || got["user_id"] != "user-ann" ||
		got["expires_at"] != expires.Format("2006-01-02T15:04:05.000000Z") {
		t.Errorf("POST /v1/api-keys/ = %v, want ann's key ci with its expiry", got)
	}
	if !strings.Contains(made.Body.String(), `"scopes":["agents:read","chat:write"]`) {
		t.Errorf("POST /v1/api-keys/ = %s, want its scopes", made.Body)
	}
	read := env.Do(t, "ann", "GET", "/v1/api-keys/"+id, "").Want(200)
	list := env.Do(t, "ann", "GET", "/v1/api-keys", "").Want(200)
	for path, body := range map[string]string{"get": read.Body.String(), "list": list.Body.String()} {
		if !strings.Contains(body, `"id":"`+id+`"`) || strings.Contains(body, key) || strings.Contains(body, "hash") {
			t.Errorf("%s = %s, want the description without the key", path, body)
		}
	}
	if strings.Contains(env.Log(), key) {
		t.Error("the log contains the key")
	}
}

func TestAPIKey_expiresOnlyIfRequested(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	got := env.Do(t, "eve", "POST", "/v1/api-keys/", goodKey).Want(201).JSON()
	if got["expires_at"] != nil || got["last_used_at"] != nil {
		t.Errorf("POST /v1/api-keys/ = %v, want neither expires_at nor last_used_at", got)
	}
}

func TestAPIKey_authenticates(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	for name, scopes := range map[string]string{"all": `["*"]`, "limited": `["agents:write","tasks:write"]`} {
		got := env.Do(t, "ann", "POST", "/v1/api-keys/", `{"name":"`+name+`","scopes":`+scopes+`}`).Want(201).JSON()
		env.Tokens[name] = got["key"].(string)
		env.Tokens[name+"-id"] = got["id"].(string)
	}
	path := "/v1/api-keys/" + env.Tokens["all-id"]
	used := env.Do(t, "all", "GET", path, "").Want(200).JSON()
	if used["user_id"] != "user-ann" || used["last_used_at"] == nil {
		t.Errorf("GET %s with the key = %v, want ann's key with last_used_at", path, used)
	}
	// Keys are part of the account, which only the scope * includes.
	env.Do(t, "limited", "GET", path, "").Want(403)
	env.Do(t, "limited", "POST", "/v1/api-keys/", `{"name":"more","scopes":["*"]}`).Want(403)
	env.Do(t, "ann", "DELETE", path, "").Want(204)
	env.Do(t, "all", "GET", path, "").Want(401)
	env.Do(t, "ann", "GET", path, "").Want(404)
}

// TestAPIKey_child creates a key with a key. It expires with its parent and is deleted with it.
func TestAPIKey_child(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	create := func(who, body string, status int) map[string]any {
		t.Helper()
		a := env.Do(t, who, "POST", "/v1/api-keys/", body).Want(status)
		if status != 201 {
			return nil
		}
		return a.JSON()
	}
	parent := create("ann", `{"name":"parent","scopes":["*"],"expires_at":"`+expires.Format(time.RFC3339)+`"}`, 201)
	env.Tokens["parent"] = parent["key"].(string)
	child := create("parent", `{"name":"child","scopes":["*"]}`, 201)
	env.Tokens["child"] = child["key"].(string)
	if child["parent_id"] != parent["id"] || child["expires_at"] != parent["expires_at"] || parent["parent_id"] != nil {
		t.Errorf("child = %v, want the parent %v and its expiry %v", child, parent["id"], parent["expires_at"])
	}
	late := expires.Add(time.Second).Format(time.RFC3339)
	f := env.Do(t, "parent", "POST", "/v1/api-keys/",
		`{"name":"late","scopes":["*"],"expires_at":"`+late+`"}`).Want(400).Failure()
	if f.Details.Field != "expires_at" || !strings.Contains(f.Details.Issue, expires.Format(time.RFC3339)) {
		t.Errorf("a key that outlives its parent: got %+v, want field expires_at and the time of the parent", f.Details)
	}
	env.Do(t, "child", "GET", "/v1/auth/me", "").Want(200)
	env.Do(t, "ann", "DELETE", "/v1/api-keys/"+parent["id"].(string), "").Want(204)
	env.Do(t, "child", "GET", "/v1/auth/me", "").Want(401)
}

func TestEndSessions(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	for _, who := range []string{"ann", "bob", "root"} {
		env.Tokens[who+"-key"] = env.Do(t, who, "POST", "/v1/api-keys/", goodKey).Want(201).JSON()["key"].(string)
	}
	env.Do(t, "ann", "POST", "/v1/users/user-bob/end-sessions", "").Want(403)
	env.Do(t, "root", "POST", "/v1/users/user-none/end-sessions", "").Want(404)
	env.Do(t, "root", "POST", "/v1/users/user-bob/end-sessions", "").Want(204)
	env.Do(t, "ann", "POST", "/v1/auth/end-sessions", "").Want(204)
	for _, who := range []string{"ann", "ann-key", "bob", "bob-key"} {
		env.Do(t, who, "GET", "/v1/auth/me", "").Want(401)
	}
	env.Do(t, "root", "POST", "/v1/users/user-eve/password",
		`{"password":"another long one","end_api_keys":"yes"}`).Want(400)
	env.Do(t, "root", "POST", "/v1/users/user-root/password", `{"password":"another long one"}`).Want(204)
	env.Do(t, "root", "GET", "/v1/auth/me", "").Want(401)
	env.Do(t, "root-key", "GET", "/v1/auth/me", "").Want(200)
	env.Do(t, "root-key", "POST", "/v1/users/user-root/password",
		`{"password":"another long one","end_api_keys":true}`).Want(204)
	env.Do(t, "root-key", "GET", "/v1/auth/me", "").Want(401)
}

func TestAPIKey_badInput(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.Do(t, "ann", "POST", "/v1/api-keys/", `{"name":"taken","scopes":["*"]}`).Want(201)
	for name, c := range map[string]struct {
		body         string
		status       int
		field, issue string
	}{
		"no name":        {`{"scopes":["*"]}`, 400, "name", "Field is required"},
		"empty name":     {`{"name":"","scopes":["*"]}`, 400, "name", "Must not be empty"},
		"blank name":     {`{"name":" ","scopes":["*"]}`, 400, "name", "Must be 1 to 100 characters long"},
		"long name":      {`{"name":"` + strings.Repeat("a", 101) + `","scopes":["*"]}`, 400, "name", "at most 100 characters"},
		"name is taken":  {`{"name":"taken","scopes":["*"]}`, 409, "", ""},
		"no scopes":      {`{"name":"a"}`, 400, "scopes", "Field is required"},
		"empty scopes":   {`{"name":"a","scopes":[]}`, 400, "scopes", "Must contain at least one item"},
		"too many":       {`{"name":"a","scopes":["*"` + strings.Repeat(`,"*"`, 20) + `]}`, 400, "scopes", "at most 20 items"},
		"unknown scope":  {`{"name":"a","scopes":["*","agents"]}`, 400, "scopes[1]", `Unknown scope "agents". Available scopes: *, agents:read`},
		"expired":        {`{"name":"a","scopes":["*"],"expires_at":"2020-01-01T00:00:00Z"}`, 400, "expires_at", "Must be in the future"},
		"not a time":     {`{"name":"a","scopes":["*"],"expires_at":"tomorrow"}`, 400, "expires_at", "Must be a date such as 2026-11-30, or a time such as"},
		"empty time":     {`{"name":"a","scopes":["*"],"expires_at":""}`, 400, "expires_at", "Must be a time in the future"},
		"past date":      {`{"name":"a","scopes":["*"],"expires_at":"2020-01-01"}`, 400, "expires_at", "Must be in the future"},
		"unknown field":  {`{"name":"a","scope":"*","scopes":["*"]}`, 400, "scope", `Did you mean "scopes"?`},
		"id is not sent": {`{"name":"a","scopes":["*"],"id":"key-1"}`, 400, "id", "Unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := env.Do(t, "ann", "POST", "/v1/api-keys/", c.body).Want(c.status).Failure()
			if f.Details.Field != c.field || !strings.Contains(f.Details.Issue, c.issue) {
				t.Errorf("POST /v1/api-keys/ with %s = %+v, want field %q with issue %q", c.body, f.Details, c.field, c.issue)
			}
		})
	}
}

func TestListAPIKeys(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	for _, k := range []struct{ id, user string }{
		{"key-1", "ann"}, {"key-2", "ann"}, {"key-3", "bob"}, {"key-4", "root"},
	} {
		env.keys[k.id] = &core.APIKey{ID: k.id, UserID: "user-" + k.user, Name: k.id, Scopes: []core.Scope{core.ScopeAll}}
	}
	for _, c := range []struct{ who, query, want string }{
		{"ann", "", "key-2 key-1"},
		{"ann", "user_id=user-ann", "key-2 key-1"},
		{"ann", "user_id=user-bob", ""},
		{"ann", "user_id=*", ""},
		{"ann", "limit=1&offset=1", "key-1"},
		{"root", "", "key-4"},
		{"root", "user_id=user-bob", "key-3"},
		{"root", "user_id=*", "key-4 key-3 key-2 key-1"},
		{"eve", "", ""},
	} {
		var ids []string
		list := env.Do(t, c.who, "GET", "/v1/api-keys/?"+c.query, "").Want(200).JSON()
		for _, k := range list["api_keys"].([]any) {
			ids = append(ids, k.(map[string]any)["id"].(string))
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("GET /v1/api-keys/?%s as %s = %q, want %q", c.query, c.who, got, c.want)
		}
	}
	page := env.Do(t, "ann", "GET", "/v1/api-keys/?limit=1", "").Want(200).JSON()
	if page["total"] != 2.0 || page["limit"] != 1.0 || page["offset"] != 0.0 {
		t.Errorf("GET /v1/api-keys/?limit=1 = %v, want the first of 2", page)
	}
	env.Do(t, "ann", "GET", "/v1/api-keys/?limit=0", "").Want(400)
}

func TestForeignAPIKeysLookLikeMissingOnes(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.keys["key-1"] = &core.APIKey{ID: "key-1", UserID: "user-bob", Name: "ci", Scopes: []core.Scope{core.ScopeAll}}
	for _, method := range []string{"GET", "DELETE"} {
		at := func(id string) string {
			body := env.Do(t, "ann", method, "/v1/api-keys/"+id, "", "X-Request-ID: req-1").Want(404).Body.String()
			return strings.ReplaceAll(body, id, "")
		}
		if foreign, missing := at("key-1"), at("key-2"); foreign != missing {
			t.Errorf("%s = %s for a foreign key, %s for a missing one", method, foreign, missing)
		}
	}
	env.Do(t, "", "GET", "/v1/api-keys/key-1", "").Want(401)
	env.Do(t, "root", "GET", "/v1/api-keys/key-1", "").Want(200)
	env.Do(t, "root", "DELETE", "/v1/api-keys/key-1", "").Want(204)
}
