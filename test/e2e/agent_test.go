package e2e_test

import (
	"testing"
)

func TestAgentVersions(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	path := "/v1/agents/" + c.newAgent("echo")
	first := c.get(path).header.Get("ETag")
	if first == "" {
		t.Fatal("the reply has no ETag")
	}
	patched := c.do("PATCH", path, object{"config": object{"temperature": 0.2}}, "If-Match: "+first).want(t, 200)
	type agent struct {
		Name        string
		Description string
		Config      map[string]any
	}
	if a := decode[agent](t, patched); a.Name != "an agent" || a.Config["temperature"] != 0.2 ||
		a.Config["model"] != "echo" {
		t.Errorf("PATCH returns %+v", a)
	}
	for _, method := range []string{"PATCH", "PUT", "DELETE"} {
		var body any = agentBody
		if method == "DELETE" {
			body = nil
		}
		if f := c.do(method, path, body, "If-Match: "+first).want(t, 412).failure(t); f.Code != "PRECONDITION_FAILED" {
			t.Errorf("%s of an old version returns %+v, want PRECONDITION_FAILED", method, f)
		}
	}
	put := c.do("PUT", path, object{"name": "new", "type": "chat", "config": object{"model": "echo"}},
		"If-Match: "+patched.header.Get("ETag"))
	if a := decode[agent](t, put.want(t, 200)); a.Name != "new" || len(a.Config) != 1 {
		t.Errorf("PUT returns %+v", a)
	}
	c.chat(path[len("/v1/agents/"):], "s", "Hello")
	c.do("DELETE", path, nil, "If-Match: "+put.header.Get("ETag")).want(t, 204)
	for _, gone := range []string{path, path + "/chat/history", path + "/sessions"} {
		c.get(gone).want(t, 404)
	}
	c.do("DELETE", path, nil).want(t, 404)
}

func TestAgentLists(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	want := make([]string, 3)
	for i := range want {
		want[len(want)-1-i] = c.newAgent("echo") // the list starts with the newest
	}
	c.do("PATCH", "/v1/agents/"+want[0], object{"status": "inactive"}).want(t, 200)
	for path, ids := range map[string][]string{
		"?limit=2":                 want[:2],
		"?limit=2&offset=2":        want[2:],
		"?offset=9":                {},
		"?status=inactive":         want[:1],
		"?status=active&type=chat": want[1:],
		"?status=error":            {},
		"?type=other":              {},
	} {
		list := decode[struct {
			Agents []struct{ ID string }
			Total  int
		}](t, c.get("/v1/agents/"+path).want(t, 200))
		var got []string
		for _, a := range list.Agents {
			got = append(got, a.ID)
		}
		if len(got) != len(ids) || len(ids) > 0 && got[0] != ids[0] {
			t.Errorf("%s: got %v, want %v", path, got, ids)
		}
	}
	r := c.post("/v1/agents/"+want[0]+"/chat", object{"message": "Hello"}).want(t, 409)
	if f := r.failure(t); f.Code != "CONFLICT" {
		t.Errorf("chat with an inactive agent returns %+v, want CONFLICT", f)
	}
}
