package e2e_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

// If the server is killed during streams, everything that was acknowledged exists after the restart
// and the runs are completed.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	s := start(t, pluginsHCL(slowOpenAI(t)))
	c := s.signIn()
	agents := []string{c.newAgent("echo"), c.newAgent("gpt-4o")}
	var streams []*stream
	var before [][]message
	for _, agent := range agents {
		c.chat(agent, "s", "What was said before")
		before = append(before, c.history(agent, "s"))
		streams = append(streams, c.startTurn(agent, "s", longEcho))
	}
	for _, stream := range streams {
		stream.readTokens(50)
	}
	processes := c.plugins()
	for _, p := range processes {
		if !alive(p.PID) {
			t.Errorf("plugin %+v has no process", p)
		}
	}
	s.kill()
	wantGone(t, processes)
	for i, stream := range streams {
		stream.readAll()
		if last := stream.last(); last.Type != "token" {
			t.Errorf("stream %d: got last event %s before the kill, want a token", i, last.data)
		}
	}
	testenv.Promise(t, 2*time.Second, "the start after a kill", func(start func()) {
		s.kill()
		start()
		s.restart()
	})
	// A server that is ready has taken over the runs. It does not wait until their lease expires.
	for i, stream := range streams {
		if r := c.run(stream.first().RunID); r.Attempt < 2 {
			t.Errorf("stream %d: got run %+v when the server is ready, want another attempt", i, r)
		}
	}
	for i, agent := range agents {
		// The access token is valid after the restart.
		again := c.runEvents(streams[i].first().RunID, streams[i].last().ID)
		if e, _ := again.next(); e.Type != "restart" {
			t.Errorf("stream %d: got %s, want a restart event", i, e.data)
		}
		again.seen = append(streams[i].seen, again.seen...)
		wantComplete(t, c, agent, "s", again)
		h := c.history(agent, "s")
		if len(h) != 4 || !slices.Equal(h[:2], before[i]) || h[2].Content != longEcho {
			t.Errorf("stream %d: got history %+v", i, h)
		}
		// Reading all events from the start returns the same message.
		if all := c.runEvents(streams[i].first().RunID, 0); all.readAll().Type != "end" ||
			messageText(all.seen) != h[len(h)-1].Content {
			t.Errorf("stream %d: all events have the text %.200q…", i, messageText(all.seen))
		}
	}
}

// A run continues after several kills of the server, and its watcher gets the complete message.
func TestServerKilledRepeatedly(t *testing.T) {
	t.Parallel()
	s := start(t, pluginsHCL(slowOpenAI(t)))
	c := s.signIn()
	agent := c.newAgent("gpt-4o")
	stream := c.startTurn(agent, "s", "Hello")
	stream.next() // the start event has the id of the run
	for range 3 {
		stream.readTokens(rand.IntN(40))
		s.kill()
		stream.readAll()
		s.restart()
		before := stream
		stream = c.runEvents(before.first().RunID, before.last().ID)
		stream.seen = before.seen
	}
	wantComplete(t, c, agent, "s", stream)
	if r := c.run(stream.first().RunID); r.Attempt != 4 {
		t.Errorf("got run %+v, want 4 attempts", r)
	}
}

// A run during which the server is killed five times is interrupted, and its message is stored.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	agent := c.newAgent("echo")
	stream := c.startTurn(agent, "s", "/tokens 5000 /delay 10ms")
	stream.readTokens(1)
	run := stream.first().RunID
	for range 5 {
		s.kill()
		s.restart()
	}
	if r := c.waitRun(run); r.Status != "interrupted" {
		t.Errorf("got run %+v, want interrupted", r)
	}
	if end := c.runEvents(run, 0).readAll(); end.Type != "error" || end.Error.Message == "" {
		t.Errorf("the events end with %s, want an error", end.data)
	}
	if h := c.history(agent, "s"); len(h) != 1 {
		t.Errorf("got history %+v, want the user's message", h)
	}
	c.chat(agent, "s", "Hello")
}

// A server that gets SIGTERM completes its streams before it ends.
func TestServerStops(t *testing.T) {
	t.Parallel()
	s := start(t, pluginsHCL(slowOpenAI(t)))
	c := s.signIn()
	agent := c.newAgent("echo")
	stream := c.startTurn(agent, "s", longEcho)
	stream.readTokens(5)
	processes := c.plugins()
	s.terminate()
	if end := stream.readAll(); end.Type != "end" || stream.err != nil {
		t.Errorf("the stream ends with %s (%v), want end", end.data, stream.err)
	}
	if code := s.exitCode(t); code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
	wantGone(t, processes)
	s.restart()
	if h := c.history(agent, "s"); len(h) != 2 || h[1].Content != messageText(stream.seen) {
		t.Errorf("got history %+v, want the streamed message", h)
	}
}
