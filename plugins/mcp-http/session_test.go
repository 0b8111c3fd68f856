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

// Requests after the handshake carry the session's id and revision, and Close deletes the
// session.
func TestSession(t *testing.T) {
	t.Parallel()
	type request struct{ method, session, revision, accept string }
	got := make(chan request, 10)
	record := func(r *http.Request) {
		h := r.Header
		got <- request{r.Method, h.Get("Mcp-Session-Id"), h.Get("MCP-Protocol-Version"), h.Get("Accept")}
	}
	handler := legacy(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
			events(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n")
			<-r.Context().Done()
		case http.MethodPost:
			answer(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
		}
	})
	c := connect(t, func(w http.ResponseWriter, r *http.Request) { record(r); handler(w, r) })
	handshake(t, c)
	want(t, c, "list_changed")
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	want(t, c, `"id":1`)
	_ = c.Close()
	acceptBoth := "application/json, text/event-stream"
	for _, want := range []request{
		{"POST", "", "", acceptBoth},
		{"POST", "session-1", "2025-06-18", acceptBoth},
		{"GET", "session-1", "2025-06-18", "text/event-stream"},
		{"POST", "session-1", "2025-06-18", acceptBoth},
		{"DELETE", "session-1", "2025-06-18", ""},
	} {
		if r := <-got; r != want {
			t.Errorf("got %+v, want %+v", r, want)
		}
	}
	if reason := waitExit(t, c); !strings.Contains(reason, "closed") {
		t.Errorf("exit reason = %s", reason)
	}
	_ = c.Close()
	if err := c.Send(t.Context(), []byte(initialize)); err == nil {
		t.Error("Send() on a closed connection = nil, want an error")
	}
}

// A server that no longer knows the session ends the connection.
func TestSessionExpires(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"session not found", `{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}`,
	} {
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
		handshake(t, c)
		send(t, c, `{"jsonrpc":"2.0","id":1,"method":"x"}`)
		if reason := waitExit(t, c); !strings.Contains(reason, "session has expired") {
			t.Errorf("exit reason = %s", reason)
		}
		_ = c.Close()
		if deleted.Load() {
			t.Error("Close deleted an expired session")
		}
	}
}

// The stream for the server's own messages is resumed where it was interrupted.
func TestListen_resumes(t *testing.T) {
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
	handshake(t, c)
	want(t, c, "one")
	want(t, c, "two")
	for _, want := range []string{"", "a-1", "a-1"} {
		if got := <-last; got != want {
			t.Errorf("Last-Event-ID = %q, want %q", got, want)
		}
	}
}

// Servers without such a stream respond in various ways. Calls work in any case.
func TestListen_notSupported(t *testing.T) {
	t.Parallel()
	for _, h := range []http.HandlerFunc{
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) },
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
	} {
		requested := make(chan bool, 10)
		c := connect(t, legacy(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				h(w, r)
				requested <- true
				return
			}
			answer(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
		}))
		handshake(t, c)
		<-requested
		send(t, c, `{"jsonrpc":"2.0","id":1,"method":"x"}`)
		want(t, c, `"result"`)
	}
}

// The stream of a call is resumed where it was interrupted, and the call is answered.
func TestCallStream_resumes(t *testing.T) {
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
	handshake(t, c)
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"x"}`)
	want(t, c, "one")
	want(t, c, "two")
	want(t, c, `"id":1`, `"result"`)
}

// The host's cancellation is sent to a legacy server, which may still answer.
func TestLegacyCancel(t *testing.T) {
	t.Parallel()
	cancellation := make(chan string, 1)
	c := connect(t, legacy(func(w http.ResponseWriter, r *http.Request) {
		body := bodyOf(r)
		switch {
		case strings.Contains(body, "notifications/cancelled"):
			cancellation <- body
			w.WriteHeader(http.StatusAccepted)
		case strings.Contains(body, `"slow"`):
			events(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"started\"}\n\n")
			<-cancellation
			events(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"cancelled\"}\n\n")
		case strings.Contains(body, `"ping"`):
			answer(w, `{"jsonrpc":"2.0","id":2,"result":{}}`)
		}
	}))
	handshake(t, c)
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"slow"}`)
	want(t, c, "started")
	send(t, c, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`)
	want(t, c, "cancelled")
	send(t, c, `{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	want(t, c, `"id":2`) // and no error for call 1
}

// A server that stays unreachable ends the connection, so that the host can reconnect. The
// server has some time to come back.
func TestListen_serverLost(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(legacy(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			events(w, "retry: 1\n\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"up\"}\n\n")
			<-r.Context().Done()
		}
	}))
	defer s.Close()
	c := dial(t, newLocalTransport(t), s.URL)
	c.(*conn).retryDelay = 10 * time.Millisecond
	handshake(t, c)
	want(t, c, "up")
	_ = s.Listener.Close() // first, so that the stream is not opened again
	s.CloseClientConnections()
	if reason := waitExit(t, c); !strings.Contains(reason, "lost") || !strings.Contains(reason, "refused") {
		t.Errorf("exit reason = %s", reason)
	}
}
