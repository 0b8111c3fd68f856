package e2e_test

import (
	"slices"
	"testing"
)

// A client that reconnects with Last-Event-ID gets every event once.
func TestReconnect(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	agent := c.newAgent("echo")
	first := c.startTurn(agent, "s", "/tokens 100 /delay 10ms")
	first.readTokens(20)
	first.close()
	run, last := first.first().RunID, first.last().ID
	if r := c.run(run); r.Status != "running" {
		t.Errorf("got run status %s after the client disconnected, want running", r.Status)
	}
	second := c.runEvents(run, last)
	second.readTokens(20)
	second.close()
	// The run ends without a client, and its events can be read afterwards.
	if r := c.waitRun(run); r.Status != "completed" {
		t.Errorf("got run %+v, want completed", r)
	}
	third := c.runEvents(run, second.last().ID)
	third.readAll()
	seen := slices.Concat(first.seen, second.seen, third.seen)
	for i, e := range seen {
		if e.ID != int64(i+1) {
			t.Fatalf("got id %d for event %d", e.ID, i+1)
		}
	}
	if h := c.history(agent, "s"); messageText(seen) != h[1].Content || third.last().MessageID != h[1].ID {
		t.Errorf("the three streams have the text %q, want %+v", messageText(seen), h)
	}
	// The query parameter after does the same as Last-Event-ID.
	rest, refused, err := c.tryStream("GET", "/v1/runs/"+run+"/events?after=50", nil)
	if err != nil || refused != nil {
		t.Fatalf("%v %+v", err, refused)
	}
	if rest.readAll(); len(rest.seen) != len(seen)-50 || rest.seen[0].data != seen[50].data {
		t.Errorf("after=50 returns %d events of %d", len(rest.seen), len(seen))
	}
	if none := c.runEvents(run, third.last().ID); none.readAll().Type != "" || none.err != nil {
		t.Errorf("got events %+v (%v) after the last one, want none", none.seen, none.err)
	}
}

// Two clients that watch a run get the same events.
func TestTwoWatchers(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	one := c.startTurn(c.newAgent("echo"), "s", "/tokens 50 /delay 10ms")
	one.readTokens(10)
	two := c.runEvents(one.first().RunID, 0)
	one.readAll()
	two.readAll()
	if !slices.Equal(one.seen, two.seen) {
		t.Errorf("the clients got %d and %d events, want the same", len(one.seen), len(two.seen))
	}
}

// A cancelled run keeps the text so far.
func TestCancel(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	agent := c.newAgent("echo")
	stream := c.startTurn(agent, "s", "/tokens 10000 /delay 10ms")
	stream.readTokens(10)
	run := stream.first().RunID
	r := c.post("/v1/runs/"+run+"/cancel", nil).want(t, 200)
	end := stream.readAll()
	wantShape(t, `{"id": "run-1", "status": "cancelled", "cancel_requested": true}`, r.body)
	if end.Type != "end" || end.Metadata.Status != "cancelled" {
		t.Errorf("the stream ends with %s, want cancelled", end.data)
	}
	if got := c.run(run); got.Status != "cancelled" || got.MessageID != end.MessageID {
		t.Errorf("got run %+v, want cancelled", got)
	}
	if h := c.history(agent, "s"); len(h) != 2 || h[1].Content != messageText(stream.seen) || h[1].ID != end.MessageID {
		t.Errorf("got history %+v, want the streamed text", h)
	}
	c.post("/v1/runs/"+run+"/cancel", nil).want(t, 409)
	if got := c.chat(agent, "s", "and on").Message; got != "and on" {
		t.Errorf("got answer %q in the next turn", got)
	}
	// A run without any text leaves no message.
	silent := c.startTurn(agent, "s", "/tokens 5 /delay 1m")
	for len(silent.seen) == 0 {
		silent.next()
	}
	c.post("/v1/runs/"+silent.first().RunID+"/cancel", nil).want(t, 200)
	if end := silent.readAll(); end.Type != "end" || end.MessageID != "" {
		t.Errorf("the stream without text ends with %s, want end without a message", end.data)
	}
}

// A session has one turn at a time. A rejected turn does not change it.
func TestOneTurnAtATime(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	agent := c.newAgent("echo")
	stream := c.startTurn(agent, "s", "/tokens 100 /delay 10ms")
	stream.readTokens(1)
	for _, streamed := range []bool{false, true} {
		r := c.post("/v1/agents/"+agent+"/chat", object{"message": "Hi", "session_id": "s", "stream": streamed}).want(t, 409)
		if f := r.failure(t); f.Code != "CONFLICT" {
			t.Errorf("got error %+v, want CONFLICT", f)
		}
	}
	c.do("DELETE", "/v1/agents/"+agent+"/sessions/s", nil).want(t, 409)
	c.do("DELETE", "/v1/agents/"+agent, nil).want(t, 409)
	c.chat(agent, "other", "Hi")
	wantComplete(t, c, agent, "s", stream)
	if h := c.history(agent, "s"); len(h) != 2 {
		t.Errorf("got %d messages, want 2", len(h))
	}
	c.chat(agent, "s", "Hi")
}

func TestSessions(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	agent, other := c.newAgent("echo"), c.newAgent("echo")
	for _, session := range []string{"a", "b", "a"} {
		c.chat(agent, session, "Hello")
	}
	run := c.chat(other, "a", "Hello").Metadata.RunID
	type list struct {
		Sessions []struct {
			ID       string
			Messages int
		}
		Total int
	}
	path := "/v1/agents/" + agent + "/sessions"
	l := decode[list](t, c.get(path).want(t, 200))
	if l.Total != 2 || l.Sessions[0].ID != "a" || l.Sessions[0].Messages != 4 || l.Sessions[1].ID != "b" {
		t.Errorf("got sessions %+v", l)
	}
	hers := c.chat(agent, "a", "Hello").Metadata.RunID
	c.do("DELETE", path+"/a", nil).want(t, 204)
	if l := decode[list](t, c.get(path).want(t, 200)); l.Total != 1 {
		t.Errorf("got sessions %+v", l)
	}
	c.get("/v1/runs/"+hers).want(t, 404)
	c.get("/v1/runs/"+run).want(t, 200)
	if len(c.history(agent, "a")) != 0 || len(c.history(other, "a")) != 2 {
		t.Error("deleting a session changed the other agent's session, or did not delete its messages")
	}
}

// The history has pages, starting with the newest messages.
func TestHistoryPages(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	agent := c.newAgent("echo")
	for range 60 {
		c.chat(agent, "long", "Hello")
	}
	all := c.history(agent, "long")
	if len(all) != 120 {
		t.Fatalf("got %d messages, want 120", len(all))
	}
	for i, m := range all {
		if want := []string{"user", "assistant"}[i%2]; m.Role != want {
			t.Fatalf("got role %s of message %d, want %s", m.Role, i, want)
		}
	}
	newest := decode[struct{ Messages []message }](t, c.get("/v1/agents/"+agent+"/chat/history").want(t, 200))
	if !slices.Equal(newest.Messages, all[70:]) {
		t.Errorf("got %d messages without a limit, want the 50 newest", len(newest.Messages))
	}
}
