package e2e_test

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
)

// uploadForm returns the body of an upload.
func uploadForm(t *testing.T, content string) string {
	t.Helper()
	b, err := io.ReadAll(form(metadataPart(`{"n":1}`), filePart("a.txt", strings.NewReader(content))))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestIdempotencyKey checks for each operation which creates or acts that requests with one key, repeated or
// concurrent, take effect once and return the same object, and that the key is refused for another request.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	onBothShared(t, func(t *testing.T, s *server) {
		admin, c := s.signIn(), s.newMember()
		agent := c.newAgent("echo")
		chat := "/v1/agents/" + agent + "/chat"
		mcp := func(slug string) object {
			return object{
				"name": slug, "slug": slug + "-" + strings.ToLower(agent[len(agent)-12:]), "auto_start": false,
				"config": object{"url": "https://example.com/mcp"},
			}
		}
		server := decode[struct{ ID string }](t, c.post("/v1/mcp-servers/", mcp("one")).want(t, 201)).ID
		turn := c.startTurn(agent, "to-cancel", "/tokens 10000 /delay 10ms")
		turn.readTokens(1)
		run := turn.first().RunID
		task := c.newTask(agent, "/tokens 10000 /delay 10ms").ID
		user := func(name string) object {
			return object{
				"username": name + agent[len(agent)-12:], "email": name + agent + "@example.com",
				"password": "correct horse battery",
			}
		}
		const multipart = "Content-Type: multipart/form-data; boundary=" + boundary
		for _, row := range []struct {
			name, path    string
			client        *client
			body, another any
			status        int
			// same returns what all replies must have in common.
			same   func(reply *reply) string
			header string
		}{
			{
				name: "agent", path: "/v1/agents/", client: c, status: 201, same: idOf,
				body:    object{"name": "a", "type": "chat", "config": object{"model": "echo"}},
				another: object{"name": "b", "type": "chat", "config": object{"model": "echo"}},
			},
			{
				name: "task", path: "/v1/tasks/", client: c, status: 201, same: idOf,
				body: taskBody(agent, "Hello"), another: taskBody(agent, "Other"),
			},
			{
				name: "chat", path: chat, client: c, status: 200, same: whole,
				body: object{"message": "Hello"}, another: object{"message": "Other"},
			},
			{
				name: "chat of a session", path: chat, client: c, status: 200, same: whole,
				body: object{"message": "Hello", "session_id": "s"}, another: object{"message": "Hello", "session_id": "t"},
			},
			{
				name: "stream", path: chat, client: c, status: 200, same: streamed,
				body: object{"message": "/tokens 50 /delay 1ms", "stream": true}, another: object{"message": "Hello"},
			},
			{
				name: "file", path: "/v1/files/upload", client: c, status: 201, same: idOf, header: multipart,
				body: uploadForm(t, "one"), another: uploadForm(t, "two"),
			},
			{
				name: "MCP server", path: "/v1/mcp-servers/", client: c, status: 201, same: idOf,
				body: mcp("two"), another: mcp("three"),
			},
			{
				name: "stop an MCP server", path: "/v1/mcp-servers/" + server + "/stop", client: c, status: 200, same: idOf,
			},
			{name: "cancel a run", path: "/v1/runs/" + run + "/cancel", client: c, status: 200, same: idOf},
			{name: "cancel a task", path: "/v1/tasks/" + task + "/cancel", client: c, status: 200, same: idOf},
			{
				name: "user", path: "/v1/users/", client: admin, status: 201, same: idOf,
				body: user("one"), another: user("two"),
			},
		} {
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				headers := []string{"Idempotency-Key: " + row.name + agent}
				if row.header != "" {
					headers = append(headers, row.header)
				}
				replies := make(chan *reply, 4)
				for range cap(replies) {
					go func() {
						r, err := row.client.try("POST", row.path, row.body, headers...)
						if err != nil {
							t.Error(err)
							r = &reply{}
						}
						replies <- r
					}()
				}
				executed, first := 0, ""
				for range cap(replies) {
					r := (<-replies).want(t, row.status)
					if r.header.Get("Idempotency-Replayed") == "" {
						executed++
					}
					if got := row.same(r); first == "" {
						first = got
					} else if got != first || got == "" {
						t.Errorf("one of the concurrent requests returned %s, another one %s", got, first)
					}
				}
				if executed != 1 {
					t.Errorf("%d of the concurrent requests were executed, want 1", executed)
				}
				again := row.client.do("POST", row.path, row.body, headers...).want(t, row.status)
				if got := row.same(again); got != first || again.header.Get("Idempotency-Replayed") != "true" {
					t.Errorf("the repeated request returned %s, want %s", got, first)
				}
				if row.another == nil {
					return
				}
				f := row.client.do("POST", row.path, row.another, headers...).want(t, 409).failure(t)
				if f.Code != "CONFLICT" || f.Details.Field != "Idempotency-Key" {
					t.Errorf("another request with the key = %+v, want CONFLICT of the Idempotency-Key", f)
				}
			})
		}
	})
}

// TestIdempotencyKey_apiKey checks that a repeated request names the API key, which is not shown again.
func TestIdempotencyKey_apiKey(t *testing.T) {
	t.Parallel()
	c := shared(t).newMember()
	create := func() *reply {
		return c.do("POST", "/v1/api-keys/", object{"name": "ci", "scopes": []string{"*"}}, "Idempotency-Key: k")
	}
	made := decode[struct{ ID string }](t, create().want(t, 201))
	if f := create().want(t, 409).failure(t); !strings.Contains(f.Message, made.ID) {
		t.Errorf("the repeated request = %+v, want an error that names %s", f, made.ID)
	}
}

// TestIdempotencyKey_states checks repeated requests after a restart, after a failure, and after the object was
// deleted.
func TestIdempotencyKey_states(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	agent := c.newAgent("echo")
	chat := func(session, text, key string) *reply {
		return c.do("POST", "/v1/agents/"+agent+"/chat", object{"message": text, "session_id": session},
			"Idempotency-Key: "+key)
	}
	first := chat("s", "Hello", "k").want(t, 200)
	failed := chat("f", "/error", "failing").status
	s.kill()
	s.restart()
	c.url = s.url
	if again := chat("s", "Hello", "k").want(t, 200); string(again.body) != string(first.body) {
		t.Errorf("after a restart, the repeated request returned %s, want %s", again.body, first.body)
	}
	if got := len(c.history(agent, "s")); got != 2 {
		t.Errorf("the session has %d messages, want 2", got)
	}
	// The run of a failed turn is not repeated either.
	if got := chat("f", "/error", "failing").status; got != failed {
		t.Errorf("the repeated failed turn = %d, want %d", got, failed)
	}
	if got := len(c.history(agent, "f")); got > 2 {
		t.Errorf("the failed session has %d messages, want those of one turn", got)
	}
	// A request that was refused has not used its key.
	c.do("PATCH", "/v1/agents/"+agent, object{"status": "inactive"}).want(t, 200)
	chat("r", "Hello", "refused").want(t, 409)
	if again := chat("s", "Hello", "k").want(t, 200); string(again.body) != string(first.body) {
		t.Errorf("the repeated request to an inactive agent returned %s, want %s", again.body, first.body)
	}
	c.do("PATCH", "/v1/agents/"+agent, object{"status": "active"}).want(t, 200)
	chat("r", "Hello", "refused").want(t, 200)
	c.do("DELETE", "/v1/agents/"+agent+"/sessions/s", nil).want(t, 204)
	if f := chat("s", "Hello", "k").want(t, 409).failure(t); f.Details.Field != "Idempotency-Key" {
		t.Errorf("the repeated request of a deleted run = %+v, want an error of the Idempotency-Key", f)
	}
}

// idOf returns the id in a reply.
func idOf(r *reply) string {
	var v struct{ ID string }
	_ = json.Unmarshal(r.body, &v) // a missing id fails the test, too
	return v.ID
}

// whole returns the body.
func whole(r *reply) string { return string(r.body) }

// streamed returns the last event of a stream.
func streamed(r *reply) string {
	events := strings.Split(strings.TrimSpace(string(r.body)), "\n\n")
	return events[len(events)-1]
}
