package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// forgetfulServer is a legacy server that forgets its session on demand, and refuses it then.
type forgetfulServer struct {
	// refuse answers a request of an unknown session. id is the id of the call, or empty.
	refuse func(w http.ResponseWriter, id string)
	// answer answers a request of the session; nil means an empty result.
	answer http.HandlerFunc
	// reopen is the response to initialize after the first one, unless it is nil.
	reopen http.HandlerFunc
	// get answers GET requests of the session; nil means 405.
	get http.HandlerFunc

	mu       sync.Mutex
	sessions int
	current  string
	executed []string
	refused  int
}

// connectTo returns a connection to the server whose handshake is complete.
func connectTo(t *testing.T, f *forgetfulServer) mcptransport.Conn {
	t.Helper()
	c := connect(t, f.ServeHTTP)
	send(t, c, initialize)
	receiveAnswer(t, c, "0")
	send(t, c, initialized)
	return c
}

// forget forgets the session.
func (f *forgetfulServer) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current = ""
}

// counts returns the number of sessions, the methods of the executed messages and the number of
// refused requests.
func (f *forgetfulServer) counts() (sessions int, executed string, refused int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sessions, strings.Join(f.executed, " "), f.refused
}

func (f *forgetfulServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost && f.get == nil {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body := bodyOf(r)
	m, _ := parseMessage([]byte(body))
	f.mu.Lock()
	if m.head.Method == "initialize" {
		f.sessions++
		if f.reopen != nil && f.sessions > 1 {
			f.mu.Unlock()
			f.reopen(w, r)
			return
		}
		f.current = fmt.Sprintf("session-%d", f.sessions)
		w.Header().Set("Mcp-Session-Id", f.current)
		f.mu.Unlock()
		answer(w, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}}}}`,
			m.head.ID))
		return
	}
	if f.current == "" || r.Header.Get("Mcp-Session-Id") != f.current {
		f.refused++
		f.mu.Unlock()
		f.refuse(w, string(m.head.ID))
		return
	}
	if r.Method == http.MethodPost && m.head.Method != "notifications/initialized" {
		f.executed = append(f.executed, m.head.Method)
	}
	f.mu.Unlock()
	switch {
	case r.Method == http.MethodGet:
		f.get(w, r)
	case r.Method != http.MethodPost:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case f.answer != nil && m.head.IsCall():
		f.answer(w, r)
	case m.head.IsCall():
		answer(w, fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{}}`, m.head.ID))
	default:
		w.WriteHeader(http.StatusAccepted)
	}
}

// refusal returns a response to a request of an unknown session. %s in the body stands for the id of
// the call.
func refusal(status int, kind, body string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, id string) {
		if kind != "" {
			w.Header().Set("Content-Type", kind)
		}
		w.WriteHeader(status)
		if strings.Contains(body, "%s") {
			body := strings.ReplaceAll(body, "%s", id)
			_, _ = w.Write([]byte(body))
			return
		}
		_, _ = w.Write([]byte(body))
	}
}

// refusals are responses with which servers refuse a session that they do not know.
var refusals = map[string]func(http.ResponseWriter, string){
	"404 without a body":         refusal(404, "", ""),
	"404 as text":                refusal(404, "text/plain; charset=utf-8", "session not found\n"),
	"404 as HTML":                refusal(404, "text/html", "<html>Not Found</html>"),
	"404 as another JSON":        refusal(404, "application/json", `{"detail":"Session not found"}`),
	"404 with a null id":         refusal(404, "application/json", `{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}`),
	"404 without an id":          refusal(404, "application/json", `{"jsonrpc":"2.0","error":{"code":-32600,"message":"Session has been terminated"}}`),
	"404 with another id":        refusal(404, "application/json", `{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"gone"}}`),
	"404 with the id":            refusal(404, "application/json", `{"jsonrpc":"2.0","id":%s,"error":{"code":-32001,"message":"Session not found"}}`),
	"404 with the id, own code":  refusal(404, "application/json", `{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":"unknown"}}`),
	"404 with invalid JSON":      refusal(404, "application/json", `{"jsonrpc":`),
	"400 without a body":         refusal(400, "", ""),
	"400 as text":                refusal(400, "text/plain", "Invalid or missing session ID"),
	"400 as HTML":                refusal(400, "text/html", "<html>Bad Request</html>"),
	"400 with a null id":         refusal(400, "application/json", `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}`),
	"400 with another id":        refusal(400, "application/json", `{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"Bad Request: No valid session ID provided"}}`),
	"400, not initialized":       refusal(400, "application/json", `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Server not initialized"},"id":null}`),
	"400 with the id and code":   refusal(400, "application/json", `{"jsonrpc":"2.0","id":%s,"error":{"code":-32001,"message":"unknown"}}`),
	"400 with the id, a session": refusal(400, "application/json", `{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":"Invalid Session"}}`),
}

// callOf returns a call of a method.
func callOf(id, method string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"%s","params":{"name":"n","uri":"u:1"}}`, id, method)
}

// receiveAnswer returns the answer to the call with the id. It skips other messages and log lines.
func receiveAnswer(t *testing.T, c mcptransport.Conn, id string) string {
	t.Helper()
	for {
		answer := receive(t, c)
		if head := remote.HeadOf([]byte(answer)); head.IsAnswer() && string(head.ID) == id {
			return answer
		}
	}
}

// A call of any method that the server refuses with its session is executed once, in a new session.
func TestRefusedSession_callIsRepeatedOnce(t *testing.T) {
	t.Parallel()
	for name, refuse := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			methods := []string{
				"tools/call", "tools/list", "prompts/list", "prompts/get", "resources/list", "resources/read",
				"resources/templates/list", "completion/complete", "ping", "x/unknown",
			}
			s := &forgetfulServer{refuse: refuse}
			c := connectTo(t, s)
			for i, method := range methods {
				s.forget()
				id := fmt.Sprintf(`"call-%d"`, i)
				send(t, c, callOf(id, method))
				got := receiveAnswer(t, c, id)
				if want := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{}}`, id); got != want {
					t.Errorf("answer to %s = %s, want %s", method, got, want)
				}
			}
			sessions, executed, refused := s.counts()
			if want := strings.Join(methods, " "); sessions != len(methods)+1 || executed != want || refused != len(methods) {
				t.Errorf("%d sessions, executed %q, refused %d; want %d sessions, %q, %d", sessions, executed, refused,
					len(methods)+1, want, len(methods))
			}
		})
	}
}

// A call that the server may have executed, or that it has answered, is not repeated.
func TestRefusedSession_othersAreNotRepeated(t *testing.T) {
	t.Parallel()
	status := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { refusal(status, kind, body)(w, "1") }
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"500":                 {status(500, "text/plain", "session not found"), "500"},
		"502":                 {status(502, "text/html", "<html>"), "502"},
		"503":                 {status(503, "", ""), "503"},
		"504":                 {status(504, "", ""), "504"},
		"401":                 {status(401, "text/plain", "session expired"), "401"},
		"403":                 {status(403, "text/plain", "no session"), "403"},
		"405":                 {status(405, "", ""), "405"},
		"408":                 {status(408, "", ""), "408"},
		"409":                 {status(409, "text/plain", "session"), "409"},
		"410":                 {status(410, "text/plain", "session gone"), "410"},
		"429":                 {status(429, "", ""), "429"},
		"unknown method":      {status(404, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no method"}}`), "no method"},
		"invalid params":      {status(400, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no name"}}`), "no name"},
		"an error in a 200":   {status(200, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"Session not found"}}`), "Session not found"},
		"a broken connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "broke the connection"},
		"a broken body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			answer(w, "{")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "in the middle"},
		"a broken stream": {func(w http.ResponseWriter, _ *http.Request) {
			events(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"n\"}\n\n")
			panic(http.ErrAbortHandler)
		}, "before its response was complete"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &forgetfulServer{refuse: refusals["404 as text"], answer: tt.answer}
			c := connectTo(t, s)
			send(t, c, callOf("1", "tools/call"))
			got := receiveAnswer(t, c, "1")
			if !strings.Contains(got, `"error"`) || !strings.Contains(got, tt.want) {
				t.Errorf("answer = %s, want an error with %q", got, tt.want)
			}
			if sessions, executed, _ := s.counts(); sessions != 1 || executed != "tools/call" {
				t.Errorf("%d sessions, executed %q; want one session and one call", sessions, executed)
			}
		})
	}
}

// A call whose stream breaks after the server has accepted it is not repeated when the session is
// refused afterwards.
func TestRefusedSession_acceptedCallIsNotRepeated(t *testing.T) {
	t.Parallel()
	s := &forgetfulServer{refuse: refusals["404 as text"]}
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		s.forget()
		events(w, "id: 1\nretry: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"started\"}\n\n")
	}
	c := connectTo(t, s)
	send(t, c, callOf("1", "tools/call"))
	want(t, c, "started")
	want(t, c, `"id":1`, `"error"`, "rejected the request to resume it")
	if sessions, executed, _ := s.counts(); sessions != 1 || executed != "tools/call" {
		t.Errorf("%d sessions, executed %q; want one session and one call", sessions, executed)
	}
}

// Concurrent calls that are refused with their session share one new session.
func TestRefusedSession_concurrentCallsShareTheNewSession(t *testing.T) {
	t.Parallel()
	const calls = 20
	var arrived sync.WaitGroup
	arrived.Add(calls)
	s := &forgetfulServer{}
	s.refuse = func(w http.ResponseWriter, id string) {
		arrived.Done() // panics if a call is refused twice
		arrived.Wait()
		refusals["404 without a body"](w, id)
	}
	c := connectTo(t, s)
	s.forget()
	for i := range calls {
		send(t, c, callOf(fmt.Sprint(i), "tools/call"))
	}
	seen := map[string]bool{}
	for len(seen) < calls {
		m := receive(t, c)
		if head := remote.HeadOf([]byte(m)); head.IsAnswer() {
			if !strings.Contains(m, `"result"`) {
				t.Errorf("answer = %s, want a result", m)
			}
			seen[string(head.ID)] = true
		}
	}
	if sessions, executed, _ := s.counts(); sessions != 2 || strings.Count(executed, "tools/call") != calls {
		t.Errorf("%d sessions, executed %q; want 2 sessions and %d calls", sessions, executed, calls)
	}
}

// A call that is also refused in the new session fails. With 404 the connection ends, so that the
// host sees the server's state; with 400 the refusal may be about the call alone.
func TestRefusedSession_refusedTwice(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		refuse  func(http.ResponseWriter, string)
		message string
		ends    bool
	}{
		"404":                {refusals["404 as text"], "the session has expired", true},
		"400":                {refusals["400 as text"], "400 Bad Request", false},
		"400 with a message": {refusals["400, not initialized"], "Server not initialized", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			posts := 0
			c := connect(t, legacy(func(w http.ResponseWriter, r *http.Request) {
				m, _ := parseMessage([]byte(bodyOf(r)))
				if r.Method != http.MethodPost {
					w.WriteHeader(http.StatusMethodNotAllowed)
					return
				}
				mu.Lock()
				posts++
				mu.Unlock()
				tt.refuse(w, string(m.head.ID))
			}))
			handshake(t, c)
			send(t, c, callOf("1", "tools/call"))
			got := receiveAnswer(t, c, "1")
			if !strings.Contains(got, tt.message) {
				t.Errorf("answer = %s, want an error with %q", got, tt.message)
			}
			if tt.ends {
				if reason := waitExit(t, c); !strings.Contains(reason, "must reach the same one") {
					t.Errorf("exit reason = %s, want that requests must reach the same server", reason)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if posts != 2 {
				t.Errorf("the call was sent %d times, want twice", posts)
			}
		})
	}
}

// If no new session can be opened, the call is answered with the reason, and the connection ends.
func TestRefusedSession_cannotBeRenewed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reopen http.HandlerFunc
		want   string
	}{
		"down":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, "503"},
		"no key":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, "check the headers"},
		"web page": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/html") }, "web page"},
		"broken":   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "broke the connection"},
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			answer(w, `{"jsonrpc":"2.0","id":0,"error":{"code":-32000,"message":"too many clients"}}`)
		}, "too many clients"},
		"modern only": {func(w http.ResponseWriter, _ *http.Request) {
			answer(w, `{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2026-07-28"}}`)
		}, "without sessions"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &forgetfulServer{refuse: refusals["404 without a body"], reopen: tt.reopen}
			c := connectTo(t, s)
			s.forget()
			send(t, c, callOf("1", "tools/call"))
			got := receiveAnswer(t, c, "1")
			if !strings.Contains(got, "no new session could be opened") || !strings.Contains(got, tt.want) {
				t.Errorf("answer = %s, want that no session could be opened, and %q", got, tt.want)
			}
			if reason := waitExit(t, c); !strings.Contains(reason, "session has expired") || !strings.Contains(reason, tt.want) {
				t.Errorf("exit reason = %s, want %q", reason, tt.want)
			}
			if _, executed, _ := s.counts(); executed != "" {
				t.Errorf("executed %q, want nothing", executed)
			}
		})
	}
}

// The new session has the state of the first one, and the host learns that the lists may have
// changed. Notifications are repeated, and answers to requests of the lost session are not.
func TestRefusedSession_stateIsRestored(t *testing.T) {
	t.Parallel()
	refused := make(chan string, 10)
	s := &forgetfulServer{refuse: func(w http.ResponseWriter, id string) {
		refusals["404 as text"](w, id)
		refused <- id
	}}
	c := connectTo(t, s)
	subscribe := func(id, method, uri string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"resources/%s","params":{"uri":"%s"}}`, id, method, uri)
	}
	for i, m := range []string{
		`{"jsonrpc":"2.0","id":10,"method":"logging/setLevel","params":{"level":"info"}}`,
		subscribe("11", "subscribe", "u:1"), subscribe("12", "subscribe", "u:2"), subscribe("13", "unsubscribe", "u:1"),
		`{"jsonrpc":"2.0","id":14,"method":"logging/setLevel","params":{"level":"error"}}`,
	} {
		send(t, c, m)
		receiveAnswer(t, c, fmt.Sprint(10+i))
	}
	s.mu.Lock()
	s.executed = nil
	s.mu.Unlock()
	s.forget()
	send(t, c, `{"jsonrpc":"2.0","id":99,"result":{}}`)
	if id := <-refused; id != "99" {
		t.Errorf("refused message %s, want 99", id)
	}
	send(t, c, callOf("1", "tools/call"))
	var between []string
	for {
		m := receive(t, c)
		if remote.HeadOf([]byte(m)).IsAnswer() {
			break
		}
		between = append(between, remote.HeadOf([]byte(m)).Method)
	}
	if want := []string{"notifications/tools/list_changed"}; !slices.Equal(between, want) {
		t.Errorf("messages before the answer = %q, want %q", between, want)
	}
	if sessions, executed, _ := s.counts(); sessions != 2 ||
		executed != "resources/subscribe logging/setLevel tools/call" {
		t.Errorf("%d sessions, executed %q; want 2, the subscription, the level and the call", sessions, executed)
	}
	s.forget()
	send(t, c, `{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
	want(t, c, "list_changed")
	// Notifications keep their order, so the second one follows the repeated one.
	send(t, c, `{"jsonrpc":"2.0","method":"notifications/last"}`)
	for {
		if _, executed, _ := s.counts(); strings.HasSuffix(executed, "notifications/last") || t.Context().Err() != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	const both = " notifications/roots/list_changed notifications/last"
	if sessions, executed, _ := s.counts(); sessions != 3 || !strings.HasSuffix(executed, both) ||
		strings.Count(executed, "roots") != 1 {
		t.Errorf("%d sessions, executed %q; want 3, and at its end%s", sessions, executed, both)
	}
}

// The stream for the server's own messages is opened in the new session, whether a call or the
// stream itself finds that the session was lost.
func TestRefusedSession_streamIsReopened(t *testing.T) {
	t.Parallel()
	for _, byCall := range []bool{true, false} {
		s := &forgetfulServer{refuse: refusals["400 as text"]}
		streams, cut := make(chan string, 10), make(chan bool)
		s.get = func(w http.ResponseWriter, r *http.Request) {
			select {
			case streams <- r.Header.Get("Mcp-Session-Id") + r.Header.Get("Last-Event-Id"):
			default:
			}
			events(w, "retry: 1\nid: 7\n\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"hello\"}\n\n")
			select {
			case <-cut:
			case <-r.Context().Done():
			}
		}
		c := connect(t, s.ServeHTTP)
		c.(*conn).retryDelay = time.Millisecond
		send(t, c, initialize)
		receiveAnswer(t, c, "0")
		send(t, c, initialized)
		want(t, c, "hello")
		s.forget()
		if byCall {
			send(t, c, callOf("1", "ping"))
		} else {
			close(cut)
		}
		for {
			if strings.Contains(receive(t, c), "hello") {
				break
			}
		}
		if first, second := <-streams, <-streams; first != "session-1" || second != "session-2" {
			t.Errorf("streams = %q and %q, want one in each session, without a Last-Event-ID", first, second)
		}
	}
}
