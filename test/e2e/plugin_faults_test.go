package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/openaitest"
	"github.com/agentarea/agentarea/test/testenv"
)

const longEcho = "/tokens 200 /delay 10ms"

// slowOpenAI starts an upstream that needs two seconds for an answer, and returns its base URL.
// Each answer is different.
func slowOpenAI(t *testing.T) string {
	t.Helper()
	var n atomic.Int64
	return upstream(t, openaitest.Options{Answer: func(*openaitest.Request) openaitest.Reply {
		r := openaitest.Text("")
		r.Delay = 10 * time.Millisecond
		call := n.Add(1)
		for i := range 200 {
			r.Content += fmt.Sprintf("call-%d-word-%d ", call, i)
		}
		return r
	}})
}

// If a provider's process is killed during a stream, its runs end with an error and runs of other
// providers continue. The process is restarted for the next turn.
func TestProviderKilled(t *testing.T) {
	t.Parallel()
	s := start(t, pluginsHCL(slowOpenAI(t)))
	c := s.signIn()
	agents := map[string]string{"echo": c.newAgent("echo"), "openai": c.newAgent("gpt-4o")}
	for victim, other := range map[string]string{"echo": "openai", "openai": "echo"} {
		hit, spared := c.startTurn(agents[victim], victim, longEcho), c.startTurn(agents[other], victim, longEcho)
		hit.readTokens(5)
		spared.readTokens(5)
		before := c.plugin("llm", victim)
		kill(t, before.PID)
		end := hit.readAll()
		if end.Type != "error" || end.Error.Code != "SERVICE_UNAVAILABLE" || end.Error.Details.Reason != "plugin_crashed" {
			t.Errorf("%s: the stream ends with %s, want plugin_crashed", victim, end.data)
		}
		eventually(t, "the restart of "+victim, func() bool {
			now := c.plugin("llm", victim)
			return now.State == "running" && now.PID != before.PID
		})

		if r := c.run(hit.first().RunID); r.Status != "failed" || r.Error.Code != "plugin_crashed" {
			t.Errorf("%s: got run %+v, want failed", victim, r)
		}
		if h := c.history(agents[victim], victim); len(h) != 1 || h[0].Content != longEcho {
			t.Errorf("%s: got history %+v, want only the user's message", victim, h)
		}
		if got := c.chat(agents[victim], victim, "/tokens 2").Message; got == "" {
			t.Errorf("%s: the next turn has no answer", victim)
		}
		wantComplete(t, c, agents[other], victim, spared)
		for _, e := range spared.seen {
			if e.Type == "restart" {
				t.Errorf("the run of %s was restarted", other)
			}
		}
	}
	testenv.Promise(t, 2*time.Second, "the restart of a provider", func(start func()) {
		before := c.plugin("llm", "echo")
		kill(t, before.PID)
		start()
		eventually(t, "the restart", func() bool {
			now := c.plugin("llm", "echo")
			return now.State == "running" && now.PID != before.PID
		})
	})
}

// If a provider's process is killed before the first token, the completion is retried.
func TestProviderKilledBeforeFirstToken(t *testing.T) {
	t.Parallel()
	up := openaitest.New(openaitest.Options{})
	base, err := up.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = up.Close() })
	lost := openaitest.Text("Lost.")
	lost.Delay = time.Minute
	up.Enqueue(lost, openaitest.Text("Found."))
	s := start(t, pluginsHCL(base))
	c := s.signIn()
	agent := c.newAgent("gpt-4o")
	replies := make(chan *reply, 1)
	go func() {
		r, _ := c.try("POST", "/v1/agents/"+agent+"/chat", object{"message": "Hello", "session_id": "s"})
		replies <- r
	}()
	eventually(t, "the request at the upstream", func() bool { return up.Active() > 0 })
	kill(t, c.plugin("llm", "openai").PID)
	r := <-replies
	if r == nil {
		t.Fatal("the turn has no reply")
	}
	if got := decode[chatReply](t, r.want(t, 200)).Message; got != "Found." {
		t.Errorf("got answer %q, want the one of the retry", got)
	}
}

// If the agent type's process is killed at a random moment, all its streams are completed.
func TestAgentTypeKilledAtRandom(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	agent := c.newAgent("echo")
	for round := range 4 { // after five exits there is no restart
		var streams []*stream
		for i := range 3 {
			streams = append(streams, c.startTurn(agent, fmt.Sprint("s", i), "/tokens 100 /delay 3ms"))
		}
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond) // a random moment is the point of the test
		kill(t, c.plugin("agent", "chat").PID)
		for i, stream := range streams {
			wantComplete(t, c, agent, fmt.Sprint("s", i), stream)
			if n := len(c.history(agent, fmt.Sprint("s", i))); n != 2*(round+1) {
				t.Errorf("got %d messages after %d turns", n, round+1)
			}
		}
	}
}

// If the agent type's process is killed during a stream, the stream has a restart event and the run
// is completed.
func TestAgentTypeKilled(t *testing.T) {
	t.Parallel()
	s := start(t, pluginsHCL(slowOpenAI(t)))
	c := s.signIn()
	for _, model := range []string{"echo", "gpt-4o"} {
		agent := c.newAgent(model)
		stream := c.startTurn(agent, "s", longEcho)
		stream.readTokens(20)
		before := c.plugin("agent", "chat")
		kill(t, before.PID)
		for {
			e, ok := stream.next()
			if !ok {
				t.Fatalf("%s: the stream ends with %+v (%v) without a restart", model, stream.last(), stream.err)
			}
			if e.Type == "restart" {
				break
			}
		}
		if e := stream.last(); e.DropAfter != stream.first().ID || e.Attempt != 2 {
			t.Errorf("%s: got restart event %s", model, e.data)
		}
		wantComplete(t, c, agent, "s", stream)
		if now := c.plugin("agent", "chat"); now.PID == before.PID || now.State != "running" {
			t.Errorf("got agent-chat %+v after its kill, want another process", now)
		}
	}
}

// wantComplete reads a stream to its end, and checks that its text is the stored message.
func wantComplete(t *testing.T, c *client, agent, session string, s *stream) {
	t.Helper()
	end := s.readAll()
	if end.Type != "end" || end.Metadata.Status != "completed" || s.err != nil {
		t.Fatalf("the stream ends with %s (%v)", end.data, s.err)
	}
	wantAscending(t, s.seen)
	h := c.history(agent, session)
	if len(h) == 0 {
		t.Fatal("the history is empty")
	}
	answer := h[len(h)-1]
	if answer.ID != end.MessageID || answer.Role != "assistant" {
		t.Errorf("got newest message %s %s, want the answer %s", answer.Role, answer.ID, end.MessageID)
	}
	if got := messageText(s.seen); got != answer.Content {
		t.Errorf("the stream has the text\n%.200q…\nwant the stored message\n%.200q…", got, answer.Content)
	}
	if r := c.run(answer.Metadata.RunID); r.Status != "completed" || r.MessageID != end.MessageID {
		t.Errorf("got run %+v, want completed", r)
	}
}

// wantAscending checks that event ids ascend.
func wantAscending(t *testing.T, events []event) {
	t.Helper()
	for i := 1; i < len(events); i++ {
		if events[i].ID <= events[i-1].ID {
			t.Errorf("event %d comes after event %d", events[i].ID, events[i-1].ID)
		}
	}
}
