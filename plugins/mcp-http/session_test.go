package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A session's id and revision go with everything after the handshake, and its end
// is told.
func TestSession(t *testing.T) {
	t.Parallel()
	type request struct{ method, session, revision, accept string }
	got := make(chan request, 10)
	note := func(r *http.Request) {
		h := r.Header
		got <- request{r.Method, h.Get("Mcp-Session-Id"), h.Get("MCP-Protocol-Version"), h.Get("Accept")}
	}
	rest := legacy(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
			events(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n")
			<-r.Context().Done()
		case http.MethodPost:
			answer(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
		}
	})
	c := connect(t, func(w http.ResponseWriter, r *http.Request) { note(r); rest(w, r) })
	shakeHands(t, c)
	want(t, c, "list_changed")
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	want(t, c, `"id":1`)
	_ = c.Close()
	both := "application/json, text/event-stream"
	for _, want := range []request{
		{"POST", "", "", both},
		{"POST", "session-1", "2025-06-18", both},
		{"GET", "session-1", "2025-06-18", "text/event-stream"},
		{"POST", "session-1", "2025-06-18", both},
		{"DELETE", "session-1", "2025-06-18", ""},
	} {
		if r := <-got; r != want {
			t.Errorf("got %+v; want %+v", r, want)
		}
	}
	if why := exit(t, c); !strings.Contains(why, "closed") {
		t.Errorf("exit: %s", why)
	}
	_ = c.Close()
	if err := c.Send(t.Context(), []byte(initialize)); err == nil {
		t.Error("a closed connection takes messages")
	}
}

// A server that forgets the session ends the connection.
func TestSessionExpires(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"session not found", `{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}`} {
		var deleted atomic.Bool
		c := connect(t, legacy(func(w http.ResponseWriter, r *http.Request) {
			switch r.Method {
			case http.MethodGet:
				w.WriteHeader(http.StatusMethodNotAllowed)
			case http.MethodDelete:
				deleted.Store(true)
			default:
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusNotFound)
				_, _ = io.WriteString(w, body)
			}
		}))
		shakeHands(t, c)
		send(t, c, `{"jsonrpc":"2.0","id":1,"method":"x"}`)
		if why := exit(t, c); !strings.Contains(why, "session has expired") {
			t.Errorf("exit: %s", why)
		}
		_ = c.Close()
		if deleted.Load() {
			t.Error("a session that is gone was deleted")
		}
	}
}

// The stream for the server's own messages is taken up where it broke.
func TestListeningResumes(t *testing.T) {
	t.Parallel()
	last := make(chan string, 10)
	var times atomic.Int32
	c := connect(t, legacy(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			return
		}
		last <- r.Header.Get("Last-Event-Id")
		switch times.Add(1) {
		case 1:
			events(w, "retry: 1\nid: a-1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"one\"}\n\nid: a-2\ndata: {\"jsonrpc\":\"2.")
		case 2:
			w.WriteHeader(http.StatusBadGateway)
		default:
			events(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"two\"}\n\n")
			<-r.Context().Done()
		}
	}))
	shakeHands(t, c)
	want(t, c, "one")
	want(t, c, "two")
	for _, want := range []string{"", "a-1", "a-1"} {
		if got := <-last; got != want {
			t.Errorf("Last-Event-ID = %q; want %q", got, want)
		}
	}
}

// Servers say in many ways that they have no such stream; calls go on.
func TestNoListening(t *testing.T) {
	t.Parallel()
	for _, h := range []http.HandlerFunc{
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) },
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
	} {
		asked := make(chan bool, 10)
		c := connect(t, legacy(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				h(w, r)
				asked <- true
				return
			}
			answer(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
		}))
		shakeHands(t, c)
		<-asked
		send(t, c, `{"jsonrpc":"2.0","id":1,"method":"x"}`)
		want(t, c, `"result"`)
	}
}

// A call's stream that breaks is taken up where it was, and answered.
func TestCallResumes(t *testing.T) {
	t.Parallel()
	var gets atomic.Int32
	c := connect(t, legacy(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			events(w, "id: 1\nretry: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"one\"}\n\n")
			panic(http.ErrAbortHandler)
		case r.Header.Get("Last-Event-Id") == "":
			w.WriteHeader(http.StatusMethodNotAllowed)
		case gets.Add(1) == 1 && r.Header.Get("Last-Event-Id") == "1":
			events(w, "id: 2\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"two\"}\n\n")
		case r.Header.Get("Last-Event-Id") == "2":
			events(w, "id: 3\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n")
		}
	}))
	shakeHands(t, c)
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"x"}`)
	want(t, c, "one")
	want(t, c, "two")
	want(t, c, `"id":1`, `"result"`)
}

// A host's cancel is told to a legacy server, which may still answer.
func TestLegacyCancel(t *testing.T) {
	t.Parallel()
	told := make(chan string, 1)
	c := connect(t, legacy(func(w http.ResponseWriter, r *http.Request) {
		body := bodyOf(r)
		switch {
		case strings.Contains(body, "cancelled"):
			told <- body
			w.WriteHeader(http.StatusAccepted)
		case strings.Contains(body, `"slow"`):
			events(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"begun\"}\n\n")
			<-told
			events(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"undone\"}\n\n")
		case strings.Contains(body, `"ping"`):
			answer(w, `{"jsonrpc":"2.0","id":2,"result":{}}`)
		}
	}))
	shakeHands(t, c)
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"slow"}`)
	want(t, c, "begun")
	send(t, c, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	want(t, c, "undone")
	send(t, c, `{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	want(t, c, `"id":2`) // and no error for 1
}

// A server that is lost for good ends the connection, so that somebody may try
// anew; it has some time to come back.
func TestServerIsLost(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(legacy(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			events(w, "retry: 1\n\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"up\"}\n\n")
			<-r.Context().Done()
		}
	}))
	defer s.Close()
	c := dial(t, local(t), s.URL)
	c.(*conn).pace = 10 * time.Millisecond
	shakeHands(t, c)
	want(t, c, "up")
	s.CloseClientConnections()
	_ = s.Listener.Close()
	if why := exit(t, c); !strings.Contains(why, "lost") || !strings.Contains(why, "refused") {
		t.Errorf("exit: %s", why)
	}
}
