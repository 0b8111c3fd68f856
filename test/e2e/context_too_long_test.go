package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/test/openaitest"
)

// A server that reports a prompt that is too long in the body of a response with status 200 gets a shorter
// history, and the turn succeeds.
func TestContextTooLongInABody_halvesTheHistory(t *testing.T) {
	t.Parallel()
	const asJSON, asEvents = "application/json", "text/event-stream"
	event := func(data string) string { return "data: " + data + "\n\n" }
	replies := map[string]struct{ contentType, body string }{
		"bare":                {asJSON, `{"object":"error","message":"This model's maximum context length is 8 messages"}`},
		"OpenAI's":            {asJSON, `{"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}}`},
		"a text":              {asJSON, `{"error":"the prompt exceeds the context window: maximum context length is 8"}`},
		"a detail":            {asJSON, `{"detail":"maximum context length is 8"}`},
		"a list of errors":    {asJSON, `{"errors":[{"message":"maximum context length is 8"}]}`},
		"as plain text":       {"text/plain", `{"object":"error","message":"maximum context length is 8"}`},
		"without a type":      {"", `{"object":"error","message":"maximum context length is 8"}`},
		"bare as a stream":    {asEvents, `{"object":"error","message":"maximum context length is 8"}`},
		"bare in a stream":    {asEvents, event(`{"object":"error","message":"maximum context length is 8"}`)},
		"OpenAI's in it":      {asEvents, event(`{"error":{"message":"context length exceeded","type":"invalid_request_error"}}`)},
		"a detail in it":      {asEvents, event(`{"detail":"maximum context length is 8"}`)},
		"an event of its own": {asEvents, "event: error\n" + event(`{"message":"maximum context length is 8"}`)},
	}
	const maxMessages = 8
	var mu sync.Mutex
	refused, accepted := map[string]int{}, map[string]int{}
	fake := openaitest.New(openaitest.Options{Answer: func(*openaitest.Request) openaitest.Reply {
		return openaitest.Text("ok")
	}})
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var request struct {
			Messages []struct {
				Content json.RawMessage `json:"content"`
			} `json:"messages"`
		}
		_ = json.Unmarshal(body, &request) // GET requests have no body
		if len(request.Messages) > 0 {
			name := strings.Trim(string(request.Messages[0].Content), `"`)
			mu.Lock()
			tooLong := len(request.Messages) > maxMessages
			if tooLong {
				refused[name]++
			} else {
				accepted[name] = len(request.Messages)
			}
			mu.Unlock()
			if tooLong {
				w.Header()["Content-Type"] = nil // no type is guessed
				if reply := replies[name]; reply.contentType != "" {
					w.Header().Set("Content-Type", reply.contentType)
				}
				_, _ = io.WriteString(w, replies[name].body)
				return
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(up.Close)
	s := start(t, pluginsHCL(up.URL+"/v1"))
	c := s.signIn()
	for name := range replies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &client{t: t, url: s.url, token: c.token}
			agent := decode[struct{ ID string }](t, c.post("/v1/agents/", object{
				"name": name, "type": "chat", "config": object{"model": "gpt-4o", "system_prompt": name},
			}).want(t, 201)).ID
			for turn := range 5 {
				if reply := c.chat(agent, "s", fmt.Sprint("message ", turn)); reply.Message != "ok" {
					t.Errorf("turn %d: got answer %q, want ok", turn, reply.Message)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if refused[name] == 0 || accepted[name] < 2 || accepted[name] >= maxMessages {
				t.Errorf("the server refused %d requests, and the last one has %d messages; want refusals and a shorter history",
					refused[name], accepted[name])
			}
		})
	}
}
