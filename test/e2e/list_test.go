package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// listPage returns a field of each object of a list as text, and the cursor of the next page.
func (c *client) listPage(path, field, key string) (all []string, next string) {
	c.t.Helper()
	body := decode[map[string]json.RawMessage](c.t, c.get(path).want(c.t, 200))
	var objects []map[string]json.RawMessage
	if err := json.Unmarshal(body[field], &objects); err != nil {
		c.t.Fatalf("GET %s: %v", path, err)
	}
	for _, o := range objects {
		all = append(all, string(o[key]))
	}
	if raw := body["next_cursor"]; raw != nil {
		_ = json.Unmarshal(raw, &next) // the test fails later
	}
	return all, next
}

// TestCursor reads each list of the API page by page, and compares it with the list on one page. Between two pages,
// it adds an object to each list.
func TestCursor(t *testing.T) {
	t.Parallel()
	onBothShared(t, func(t *testing.T, s *server) {
		c, admin := s.newMember(), s.signIn()
		agent := c.newAgent("echo")
		n := 0
		add := func() {
			n++
			c.newAgent("echo")
			c.upload(fmt.Sprint("file-", n), []byte("x"))
			c.chat(agent, fmt.Sprint("s", n), "Hello")
			c.newKey(fmt.Sprint("key-", n), "*")
			task := c.newTask(agent, "Hello")
			c.post("/v1/mcp-servers/", object{
				"name": "m", "slug": strings.ToLower(task.ID), "auto_start": false, "config": object{"url": "https://example.com/mcp"},
			}).want(t, 201)
		}
		for range 5 {
			add()
		}
		me := decode[struct{ ID string }](t, c.get("/v1/auth/me").want(t, 200)).ID
		for _, list := range []struct {
			name, path, field, key string
			client                 *client
		}{
			{"agents", "/v1/agents/?type=chat", "agents", "id", c},
			{"files", "/v1/files/?name=file", "files", "id", c},
			{"sessions", "/v1/agents/" + agent + "/sessions?", "sessions", "id", c},
			{"API keys", "/v1/api-keys/?", "api_keys", "id", c},
			{"tasks", "/v1/tasks/?agent_id=" + agent, "tasks", "id", c},
			{"MCP servers", "/v1/mcp-servers/?", "servers", "id", c},
			{"audit", "/v1/audit?action=create-agent&user_id=" + me, "entries", "seq", admin},
			{"history", "/v1/agents/" + agent + "/chat/history?", "messages", "id", c},
		} {
			want, _ := list.client.listPage(list.path+"&limit=100", list.field, list.key)
			got, next := list.client.listPage(list.path+"&limit=2", list.field, list.key)
			add()
			for next != "" {
				var page []string
				page, next = list.client.listPage(list.path+"&limit=2&cursor="+next, list.field, list.key)
				if list.name == "history" { // its pages are in chronological order
					got = append(page, got...)
				} else {
					got = append(got, page...)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("the pages of %s have %v, want %v", list.name, got, want)
			}
		}
		_, next := c.listPage("/v1/agents/?limit=1", "agents", "id")
		f := c.get("/v1/files/?cursor="+next).want(t, 400).failure(t)
		if f.Details.Field != "cursor" {
			t.Errorf("the cursor of another list = %+v, want an error of the cursor", f)
		}
	})
}

// TestSessionIDs uses sessions whose ids are any printable text.
func TestSessionIDs(t *testing.T) {
	t.Parallel()
	onBothShared(t, func(t *testing.T, s *server) {
		c := s.newMember()
		agent := c.newAgent("echo")
		for _, id := range []string{
			"Größe: 1/2?", "会话 一", "👩‍🚀", "a b", `"quoted"\`, "%2F", "a..", "a;b&c=d+e#f", strings.Repeat("會", 128),
		} {
			if got := c.chat(agent, id, "Hello").SessionID; got != id {
				t.Errorf("the session_id of the reply is %q, want %q", got, id)
			}
			if got := c.history(agent, url.QueryEscape(id)); len(got) != 2 {
				t.Errorf("the history of %q has %d messages, want 2", id, len(got))
			}
			listed, _ := c.listPage("/v1/agents/"+agent+"/sessions", "sessions", "id")
			text, err := json.Marshal(id)
			if err != nil {
				t.Fatal(err)
			}
			var decoded string
			if len(listed) != 1 || json.Unmarshal([]byte(listed[0]), &decoded) != nil || decoded != id {
				t.Errorf("the sessions are %v, want %s", listed, text)
			}
			path := strings.ReplaceAll(url.PathEscape(id), ".", "%2E")
			c.do("DELETE", "/v1/agents/"+agent+"/sessions/"+path, nil).want(t, 204)
		}
		for _, id := range []string{"a\nb", "\u202e", strings.Repeat("a", 129)} {
			f := c.post("/v1/agents/"+agent+"/chat", object{"message": "a", "session_id": id}).want(t, 400).failure(t)
			if f.Details.Field != "session_id" {
				t.Errorf("session id %q = %+v, want an error of session_id", id, f)
			}
		}
	})
}

// TestConditionalGet checks that a client which has an object already receives no body.
func TestConditionalGet(t *testing.T) {
	t.Parallel()
	c := shared(t).newMember()
	agent := c.newAgent("echo")
	answer := c.chat(agent, "s", "Hello")
	task := c.newTask(agent, "Hello").ID
	c.waitTask(task)
	for _, path := range []string{
		"/v1/agents/" + agent, "/v1/runs/" + answer.Metadata.RunID, "/v1/tasks/" + task,
		"/v1/files/" + c.upload("a.txt", []byte("x")).ID,
	} {
		tag := c.get(path).want(t, 200).header.Get("ETag")
		if r := c.do("GET", path, nil, "If-None-Match: "+tag).want(t, 304); len(r.body) > 0 {
			t.Errorf("GET %s with its ETag returns %s, want no body", path, r.body)
		}
	}
	path := "/v1/agents/" + agent
	tag := c.get(path).header.Get("ETag")
	c.do("PATCH", path, object{"description": "new"}, "If-Match: "+tag).want(t, 200)
	c.do("GET", path, nil, "If-None-Match: "+tag).want(t, 200)
	c.do("PATCH", path, object{"description": "newer"}, "If-Match: "+tag).want(t, 412)
}

// TestCancelledRunUsage checks that a run reports its model and the tokens that it has received until it was
// cancelled or failed.
func TestCancelledRunUsage(t *testing.T) {
	t.Parallel()
	c := shared(t).newMember()
	agent := c.newAgent("echo")
	stream := c.startTurn(agent, "s", "/tokens 10000 /delay 10ms")
	stream.readTokens(5)
	id := stream.first().RunID
	c.post("/v1/runs/"+id+"/cancel", nil).want(t, 200)
	end := stream.readAll()
	c.waitRun(id)
	run := decode[struct {
		Model  string
		Status string
		Usage  struct {
			Output int64 `json:"output_tokens"`
		}
	}](t, c.get("/v1/runs/"+id).want(t, 200))
	if run.Status != "cancelled" || run.Model != "echo" || run.Usage.Output < 5 {
		t.Errorf("the cancelled run is %+v, want its model and at least 5 tokens", run)
	}
	if !strings.Contains(string(end.data), `"model":"echo"`) {
		t.Errorf("the stream ends with %s, want the model", end.data)
	}
}
