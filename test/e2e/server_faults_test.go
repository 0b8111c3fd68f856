package e2e_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The server dies in mid-stream: what was acknowledged is there after the
// restart, and the runs go on to whole answers.
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
			t.Errorf("no process of %+v", p)
		}
	}
	s.kill()
	wantGone(t, processes)
	for i, stream := range streams {
		stream.readAll()
		if last := stream.last(); last.Type != "token" {
			t.Errorf("stream %d: the last event before the kill is %s", i, last.data)
		}
	}
	began := time.Now()
	s.restart()
	within(t, time.Since(began), 2*time.Second, "ready after kill -9")

	for i, agent := range agents {
		// The same token, for a login outlives the server.
		again := c.runEvents(streams[i].first().RunID, streams[i].last().ID)
		if e, _ := again.next(); e.Type != "restart" {
			t.Errorf("stream %d goes on with %s, want a restart", i, e.data)
		}
		again.seen = append(streams[i].seen, again.seen...)
		wantComplete(t, c, agent, "s", again)
		h := c.history(agent, "s")
		if len(h) != 4 || !slices.Equal(h[:2], before[i]) || h[2].Content != longEcho {
			t.Errorf("stream %d: the history is %+v", i, h)
		}
		// One who reads the whole log at once gets the same message.
		if whole := c.runEvents(streams[i].first().RunID, 0); whole.readAll().Type != "end" || messageText(whole.seen) != h[len(h)-1].Content {
			t.Errorf("stream %d: the log says %.200q…", i, messageText(whole.seen))
		}
	}
}

// One run outlives several servers, and its watcher ends up with the message.
func TestServerKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	s := start(t, pluginsHCL(slowOpenAI(t)))
	c := s.signIn()
	agent := c.newAgent("gpt-4o")
	stream := c.startTurn(agent, "s", "Hello")
	stream.next() // the start, by which the run is found again
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
		t.Errorf("the run is %+v", r)
	}
}

// A run that takes every server down with it is given up, with its message kept.
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
		t.Errorf("the run is %+v", r)
	}
	if end := c.runEvents(run, 0).readAll(); end.Type != "error" || end.Error.Message == "" {
		t.Errorf("the log ends with %s", end.data)
	}
	if h := c.history(agent, "s"); len(h) != 1 {
		t.Errorf("the history is %+v", h)
	}
	c.chat(agent, "s", "Hello")
}

// A server that is asked to stop lets streams end.
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
		t.Errorf("the stream ends with %s (%v)", end.data, stream.err)
	}
	if code := s.exitCode(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	wantGone(t, processes)
	s.restart()
	if h := c.history(agent, "s"); len(h) != 2 || h[1].Content != messageText(stream.seen) {
		t.Errorf("the history is %+v", h)
	}
}
