package e2e_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/openaitest"
)

// If a provider fails, the error names the provider and what to do, and the user's message is stored.
func TestProviderFails(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	address := closed.Addr().String()
	providers := map[string]struct {
		base   string
		status int
		words  []string
	}{
		"down":   {"http://" + address + "/v1", 503, []string{"the provider is not reachable", "base_url"}},
		"no-key": {upstream(t, openaitest.Options{Key: "sk-another-key"}), 502, []string{"api_key", "plugins.hcl"}},
		"credit": {upstream(t, openaitest.Options{Answer: func(*openaitest.Request) openaitest.Reply { return openaitest.NoQuota() }}), 503, []string{"credit"}},
		"wrong":  {upstream(t, openaitest.Options{}) + "/v2", 502, []string{"base_url"}},
	}
	text := strings.Builder{}
	text.WriteString(pluginsHCL("http://127.0.0.1:1/v1"))
	for label, p := range providers {
		fmt.Fprintf(&text, `
plugin "llm" %q {
  command = "llm-openai"
  config {
    base_url    = %q
    api_key     = "sk-of-the-test"
    max_retries = 0
  }
}
`, label, p.base)
	}
	s := start(t, text.String())
	c := s.signIn()
	for label, p := range providers {
		agent := c.newAgent(label + "/gpt-4o")
		r := c.post("/v1/agents/"+agent+"/chat", object{"message": "Hello", "session_id": "s"}).want(t, p.status)
		f := r.failure(t)
		if want := map[int]string{502: "UPSTREAM_ERROR", 503: "SERVICE_UNAVAILABLE"}[p.status]; f.Code != want {
			t.Errorf("%s: got error %+v, want code %s", label, f, want)
		}
		for _, word := range p.words {
			if !strings.Contains(f.Message, word) {
				t.Errorf("%s: message %q does not contain %q", label, f.Message, word)
			}
		}
		stream := c.startTurn(agent, "t", "Hello")
		if end := stream.readAll(); end.Type != "error" || end.Error.Code != f.Code || end.Error.Message != f.Message {
			t.Errorf("%s: the stream ends with %s, want %+v", label, end.data, f)
		}
		for _, session := range []string{"s", "t"} {
			if h := c.history(agent, session); len(h) != 1 || h[0].Content != "Hello" {
				t.Errorf("%s: got history %+v, want only the user's message", label, h)
			}
		}
		if strings.Contains(string(r.body)+s.stderr.String(), "sk-of-the-test") {
			t.Errorf("%s: the API key is in the reply or the log", label)
		}
	}
	if got := c.chat(c.newAgent("echo"), "s", "Hello").Message; got != "Hello" {
		t.Errorf("another provider answers %q, want Hello", got)
	}
}

// A failure during a stream is the last event of the stream.
func TestFailureDuringStream(t *testing.T) {
	t.Parallel()
	up := openaitest.New(openaitest.Options{})
	base, err := up.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = up.Close() })
	s := start(t, pluginsHCL(base))
	c := s.signIn()
	agents := map[string]string{"echo": c.newAgent("echo"), "gpt-4o": c.newAgent("gpt-4o")}
	for _, tt := range []struct {
		session, model, message string
		reply                   openaitest.Reply
		code, reason            string
	}{
		{"unavailable", "echo", "/tokens 3 /error unavailable", openaitest.Reply{}, "SERVICE_UNAVAILABLE", "unavailable"},
		{"timeout", "echo", "/tokens 3 /error timeout", openaitest.Reply{}, "UPSTREAM_TIMEOUT", "timeout"},
		{"filter", "echo", "/tokens 3 /error content_filter", openaitest.Reply{}, "UPSTREAM_ERROR", "content_filter"},
		{"cut", "gpt-4o", "Hello", openaitest.Text("one two three four").With(openaitest.Cut, 3), "", "unavailable"},
		{"malformed", "gpt-4o", "Hello", openaitest.Text("one two three four").With(openaitest.Malformed, 3), "", ""},
	} {
		if tt.model != "echo" {
			up.Enqueue(tt.reply)
		}
		agent := agents[tt.model]
		stream := c.startTurn(agent, tt.session, tt.message)
		end := stream.readAll()
		if end.Type != "error" || stream.err != nil || end.Error.Message == "" || end.ID == 0 {
			t.Errorf("%s: the stream ends with %s (%v), want an error", tt.session, end.data, stream.err)
		}
		if tt.code != "" && end.Error.Code != tt.code || tt.reason != "" && end.Error.Details.Reason != tt.reason {
			t.Errorf("%s: got error %s, want %s and %s", tt.session, end.data, tt.code, tt.reason)
		}
		if n := strings.Count(messageText(stream.seen), " "); n != 2 {
			t.Errorf("%s: got text %q before the error", tt.session, messageText(stream.seen))
		}
		run := c.run(stream.first().RunID)
		if run.Status != "failed" || run.Error.Code != end.Error.Details.Reason {
			t.Errorf("%s: got run %+v, want failed", tt.session, run)
		}
		if h := c.history(agent, tt.session); len(h) != 1 || h[0].Content != tt.message {
			t.Errorf("%s: got history %+v, want only the user's message", tt.session, h)
		}
		if got := c.chat(agent, tt.session, "/tokens 1").Message; got == "" {
			t.Errorf("%s: the next turn has no answer", tt.session)
		}
	}
}

// Users see neither the text of a plugin's internal error nor the address of a provider. The log has both.
func TestPluginTextStaysInTheLog(t *testing.T) {
	t.Parallel()
	s := start(t, pluginsHCL("http://127.0.0.1:1/v1"))
	c := s.signIn()
	for _, tt := range []struct{ model, message, hidden, want string }{
		{"echo", "/error internal", "requested by", "llm/echo failed with an internal error"},
		{"gpt-4o", "Hello", "127.0.0.1", "not reachable"},
	} {
		agent := c.newAgent(tt.model)
		stream := c.startTurn(agent, "s", tt.message)
		end := stream.readAll()
		id := stream.first().RunID
		if end.Type != "error" || !strings.Contains(end.Error.Message, tt.want) ||
			strings.Contains(string(end.data), tt.hidden) {
			t.Errorf("%s: the stream ends with %s, want %q without %q", tt.model, end.data, tt.want, tt.hidden)
		}
		replies := map[string]*reply{
			"the chat": c.post("/v1/agents/"+agent+"/chat", object{"message": tt.message, "session_id": "s"}),
			"the run":  c.get("/v1/runs/" + id),
		}
		for what, r := range replies {
			if strings.Contains(string(r.body), tt.hidden) {
				t.Errorf("%s: %s has the text %q: %s", tt.model, what, tt.hidden, r.body)
			}
		}
		if tt.model == "echo" && !strings.Contains(end.Error.Message, "run_id "+id) {
			t.Errorf("the message %q has no reference to run %s", end.Error.Message, id)
		}
		found := false
		for line := range strings.Lines(s.stderr.String()) {
			found = found || strings.Contains(line, tt.hidden) && strings.Contains(line, id)
		}
		if !found {
			t.Errorf("%s: the log has no line with %q and %s", tt.model, tt.hidden, id)
		}
	}
}

// A provider gets the conversation with the agent's settings, and a completion is retried after a 429.
func TestConversation(t *testing.T) {
	t.Parallel()
	up := openaitest.New(openaitest.Options{})
	base, err := up.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = up.Close() })
	s := start(t, pluginsHCL(base))
	c := s.signIn()
	r := c.post("/v1/agents/", object{"name": "a", "type": "chat", "config": object{
		"model": "openai/gpt-4o", "temperature": 0.5, "max_tokens": 100, "system_prompt": "Be brief.",
	}})
	agent := decode[struct{ ID string }](t, r.want(t, 201)).ID
	up.Enqueue(openaitest.Text("Four."), openaitest.RateLimited(time.Second), openaitest.Text("Five."))
	c.chat(agent, "s", "Two and two?")
	if stream := c.startTurn(agent, "s", "And one?"); stream.readAll().Type != "end" ||
		messageText(stream.seen) != "Five." {
		t.Errorf("got answer %q after a 429, want Five.", messageText(stream.seen))
	}
	requests := up.Requests()
	last := requests[len(requests)-1]
	var got []string
	for _, m := range last.Messages {
		got = append(got, m.Role+": "+m.Text())
	}
	if want := "system: Be brief.|user: Two and two?|assistant: Four.|user: And one?"; strings.Join(got, "|") != want {
		t.Errorf("the provider got the messages %q, want %q", got, want)
	}
	if last.Model != "gpt-4o" || *last.Temperature != 0.5 || last.Header.Get("Authorization") != "Bearer sk-of-the-test" {
		t.Errorf("the provider got the request %s", last.Body)
	}
}
