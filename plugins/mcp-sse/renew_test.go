package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// forgetfulServer is a server that forgets its session on demand, while the event stream stays open.
type forgetfulServer struct {
	// refuse answers a POST of an unknown session.
	refuse func(http.ResponseWriter)
	// reopen answers GET requests after the first one; nil opens a stream.
	reopen http.HandlerFunc

	mu       sync.Mutex
	sessions int
	current  string
	streams  map[string]chan string
	executed []string
}

// connectToForgetful returns the server and a connection whose handshake is complete.
func connectToForgetful(t *testing.T, f *forgetfulServer) mcptransport.Conn {
	t.Helper()
	f.streams = map[string]chan string{}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	c, err := dial(t, s.URL)
	if err != nil {
		t.Fatal(err)
	}
	send(t, c, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05"}}`)
	receiveAnswer(t, c, "0")
	send(t, c, remote.Initialized)
	return c
}

// receiveAnswer returns the answer to the call with the id. It skips other messages and log lines.
func receiveAnswer(t *testing.T, c mcptransport.Conn, id string) string {
	t.Helper()
	for {
		m := receiveFrame(t, c).Message
		if head := remote.HeadOf(m); head.IsAnswer() && string(head.ID) == id {
			return string(m)
		}
	}
}

// forget forgets the session.
func (f *forgetfulServer) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current = ""
}

// counts returns the number of sessions and the methods of the executed calls.
func (f *forgetfulServer) counts() (sessions int, executed string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sessions, strings.Join(f.executed, " ")
}

func (f *forgetfulServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		f.serveStream(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	head := remote.HeadOf(body)
	f.mu.Lock()
	defer f.mu.Unlock()
	session := r.URL.Query().Get("session")
	if session != f.current {
		f.refuse(w)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	switch {
	case !head.IsCall():
	case head.Method == "initialize":
		f.streams[session] <- fmt.Sprintf(
			`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2024-11-05","capabilities":{"tools":{}}}}`, head.ID)
	default:
		f.executed = append(f.executed, head.Method)
		if head.Method != "hang" {
			f.streams[session] <- fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{}}`, head.ID)
		}
	}
}

func (f *forgetfulServer) serveStream(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.sessions++
	if f.reopen != nil && f.sessions > 1 {
		f.mu.Unlock()
		f.reopen(w, r)
		return
	}
	f.current = fmt.Sprint(f.sessions)
	messages := make(chan string, 100)
	f.streams[f.current] = messages
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = fmt.Fprintf(w, "event: endpoint\ndata: /messages?session=%s\n\n", f.current)
	f.mu.Unlock()
	w.(http.Flusher).Flush()
	for {
		select {
		case m := <-messages:
			_, _ = fmt.Fprintf(w, "data: %s\n\n", m)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// refusal returns a response to a POST of an unknown session.
func refusal(status int, text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// A call of any method that the server refuses with its session is executed once, in a new session.
func TestRefusedSession_callIsRepeatedOnce(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(http.ResponseWriter){
		"404":                     refusal(404, ""),
		"404 as text":             refusal(404, "Could not find session"),
		"404 as JSON":             refusal(404, `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"gone"}}`),
		"404 as HTML":             refusal(404, "<html>Not Found</html>"),
		"400":                     refusal(400, ""),
		"400 as text":             refusal(400, "No transport found for sessionId"),
		"400, invalid":            refusal(400, "Invalid session ID"),
		"400 in capitals":         refusal(400, "UNKNOWN SESSION"),
		"400 as JSON":             refusal(400, `{"error":"Session not found"}`),
		"400 as a JSON-RPC error": refusal(400, `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no such session"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &forgetfulServer{refuse: refuse}
			c := connectToForgetful(t, f)
			methods := []string{"tools/call", "tools/list", "prompts/get", "resources/read", "ping"}
			for i, method := range methods {
				f.forget()
				id := fmt.Sprintf(`"call-%d"`, i)
				send(t, c, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"%s"}`, id, method))
				if got := receiveAnswer(t, c, id); !strings.Contains(got, `"result":{}`) {
					t.Errorf("answer to %s = %s, want the result", method, got)
				}
			}
			if sessions, executed := f.counts(); sessions != len(methods)+1 || executed != strings.Join(methods, " ") {
				t.Errorf("%d sessions, executed %q; want %d, and each call once", sessions, executed, len(methods)+1)
			}
		})
	}
}

// A call that the server has accepted in the lost session fails and is not repeated. The host learns
// that the lists may have changed.
func TestRefusedSession_acceptedCallIsNotRepeated(t *testing.T) {
	t.Parallel()
	f := &forgetfulServer{refuse: refusal(404, "")}
	c := connectToForgetful(t, f)
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"hang"}`)
	send(t, c, `{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	receiveAnswer(t, c, "2")
	for executed := ""; !strings.Contains(executed, "hang"); {
		_, executed = f.counts()
	}
	f.forget()
	send(t, c, `{"jsonrpc":"2.0","id":3,"method":"ping"}`)
	if got := receiveAnswer(t, c, "1"); !strings.Contains(got, "may or may not have taken effect") {
		t.Errorf("answer = %s, want that the effect is unknown", got)
	}
	for changed := false; ; {
		m := receiveFrame(t, c).Message
		head := remote.HeadOf(m)
		changed = changed || head.Method == "notifications/tools/list_changed"
		if head.IsAnswer() {
			if !changed {
				t.Errorf("got %s without a notification before that the tools may have changed", m)
			}
			break
		}
	}
	if sessions, executed := f.counts(); sessions != 2 || strings.Count(executed, "hang") != 1 {
		t.Errorf("%d sessions, executed %q; want 2, and hang once", sessions, executed)
	}
}

// A message that the server rejects for another reason does not end the session.
func TestRefusedSession_othersAreNotRepeated(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(http.ResponseWriter){
		"400 about the message": refusal(400, "Invalid message"),
		"401":                   refusal(401, "session expired"),
		"413":                   refusal(413, "too large"),
		"500":                   refusal(500, "session not found"),
		"503":                   refusal(503, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &forgetfulServer{refuse: refuse}
			c := connectToForgetful(t, f)
			f.forget()
			send(t, c, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
			if got := receiveAnswer(t, c, "1"); !strings.Contains(got, `"error"`) {
				t.Errorf("answer = %s, want an error", got)
			}
			if sessions, executed := f.counts(); sessions != 1 || executed != "" {
				t.Errorf("%d sessions, executed %q; want one session and no call", sessions, executed)
			}
		})
	}
}

// If no new session can be opened, the call is answered with the reason, and the connection ends.
func TestRefusedSession_cannotBeRenewed(t *testing.T) {
	t.Parallel()
	f := &forgetfulServer{
		refuse: refusal(404, ""),
		reopen: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
	}
	c := connectToForgetful(t, f)
	f.forget()
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if got := receiveAnswer(t, c, "1"); !strings.Contains(got, "no new session could be opened") ||
		!strings.Contains(got, "503") {
		t.Errorf("answer = %s, want that no session could be opened, and the status", got)
	}
	if reason := waitExit(t, c); !strings.Contains(reason, "the session has expired") {
		t.Errorf("exit reason = %s, want that the session has expired", reason)
	}
}
