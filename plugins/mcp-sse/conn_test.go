package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// testTimeout is the maximum time that a test waits for an expected event.
const testTimeout = 2 * time.Minute

// dial connects to a URL. The connection is closed at the end of the test.
func dial(t *testing.T, url string) (mcptransport.Conn, error) {
	t.Helper()
	tr := &transport{
		settings: remote.Settings{Allow: []string{"127.0.0.1"}, ConnectTimeout: testTimeout, AnswerTimeout: testTimeout},
	}
	if err := tr.Configure(t.Context(), sdk.Env{}); err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{"url": url, "headers": map[string]string{"X-Key": "k"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := tr.Connect(t.Context(), mcptransport.Open{Slug: "s", Config: config})
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// server is a fake MCP server. in receives each POST, and out is sent in the event stream.
type server struct {
	*httptest.Server
	in  chan string
	out chan string
	// post handles POST requests; nil accepts them.
	post http.HandlerFunc
}

// connectToServer returns a fake server and a connection to it.
func connectToServer(t *testing.T, post http.HandlerFunc) (*server, mcptransport.Conn) {
	t.Helper()
	s := &server{in: make(chan string, 100), out: make(chan string, 100), post: post}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	c, err := dial(t, s.URL+"/sse?key=1")
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Key") != "k" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body)
		if s.post != nil && !strings.Contains(string(body), `"good"`) {
			s.post(w, r)
			return
		}
		s.in <- r.URL.RequestURI() + " " + string(body)
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, ": hello\n\nevent: endpoint\ndata: /messages?session=1\n\n")
	w.(http.Flusher).Flush()
	for {
		select {
		case text, ok := <-s.out:
			if !ok {
				return
			}
			_, _ = io.WriteString(w, text)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// send sends a message.
func send(t *testing.T, c mcptransport.Conn, message string) {
	t.Helper()
	if err := c.Send(t.Context(), []byte(message)); err != nil {
		t.Fatal(err)
	}
}

// receiveFrame returns the next frame.
func receiveFrame(t *testing.T, c mcptransport.Conn) mcptransport.Frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	f, err := c.Receive(ctx)
	if err != nil {
		t.Fatalf("Receive() = %v", err)
	}
	return f
}

// waitExit waits for the end of the connection and returns its reason.
func waitExit(t *testing.T, c mcptransport.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	_, err := c.Receive(ctx)
	var e *mcptransport.Exit
	if !errors.As(err, &e) {
		t.Fatalf("Receive() = %v", err)
	}
	return e.Message
}

// Messages arrive unchanged in both directions.
func TestMessagesAreUnchanged(t *testing.T) {
	t.Parallel()
	s, c := connectToServer(t, nil)
	messages := []string{
		`{"jsonrpc":"2.0","id":9007199254740993,"method":"x/unknown","params":{"n":123456789012345678901234567890,"e":1E400},"extra":[null]}`,
		`{"jsonrpc":"2.0","id":"<é> \"1\"","method":"x"}`,
		`{"jsonrpc":"2.0","id":1.50,"error":{"code":-32042,"message":"<&>","data":{"a":1.0},"more":1}}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}`,
		`{"jsonrpc":"2.0","method":"notifications/x","params":{"s":"\u003c日本"}}`,
		`{"result":{"method":"no","unknown":[1.0]},"id":"a","jsonrpc":"2.0"}`,
	}
	for _, m := range messages {
		send(t, c, m)
		if got := <-s.in; got != "/messages?session=1 "+m {
			t.Errorf("the server received %s, want %s", got, m)
		}
		s.out <- "event: message\ndata: " + m + "\n\n"
		if got := string(receiveFrame(t, c).Message); got != m {
			t.Errorf("the host received %s, want %s", got, m)
		}
	}
}

// An event that cannot be passed on is dropped, or fails its call. Later events are
// delivered.
func TestUnusualEvents(t *testing.T) {
	t.Parallel()
	s, c := connectToServer(t, nil)
	padding := strings.Repeat("x", mcptransport.MaxMessage)
	s.out <- "event: ping\ndata: {}\n\n: heartbeat\n\ndata: {{{\n\n"
	if f := receiveFrame(t, c); !strings.Contains(f.Stderr, "not valid JSON") {
		t.Errorf("frame = %+v", f)
	}
	s.out <- `data: {"jsonrpc":"2.0","method":"notifications/big","params":"` + padding + "\"}\n\n"
	if f := receiveFrame(t, c); !strings.Contains(f.Stderr, "dropped notifications/big") {
		t.Errorf("frame = %+v", f)
	}
	s.out <- `data: {"result":{"blob":"` + padding + "\"},\ndata: \"jsonrpc\":\"2.0\",\"id\":\"big\"}\n\n"
	if m := string(receiveFrame(t, c).Message); !strings.Contains(m, `"id":"big","error"`) ||
		!strings.Contains(m, "16 MiB") {
		t.Errorf("message = %.200s", m)
	}
	s.out <- "data: {\"jsonrpc\":\"2.0\",\ndata: \"id\":1,\"result\":{}}\n\n"
	if m := string(receiveFrame(t, c).Message); m != `{"jsonrpc":"2.0","id":1,"result":{}}` {
		t.Errorf("message = %s", m)
	}
}

// A call that the server does not accept fails and does not affect others.
func TestPost_fails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		post    http.HandlerFunc
		message string
	}{
		{"rejected", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "403 Forbidden: check the headers"},
		{"connection lost", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "broke the connection"},
		{"redirect to another host", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.com/", http.StatusTemporaryRedirect)
		}, "which is another server"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, c := connectToServer(t, tt.post)
			send(t, c, `{"jsonrpc":"2.0","id":"a","method":"bad"}`)
			if m := string(receiveFrame(t, c).Message); !strings.Contains(m, `"id":"a","error"`) ||
				!strings.Contains(m, tt.message) {
				t.Errorf("message = %s", m)
			}
			send(t, c, `{"jsonrpc":"2.0","method":"notifications/bad"}`)
			if line := receiveFrame(t, c).Stderr; !strings.Contains(line, "could not send notifications/bad") ||
				!strings.Contains(line, tt.message) {
				t.Errorf("log line = %s", line)
			}
			send(t, c, `{"jsonrpc":"2.0","id":1,"method":"good"}`)
			<-s.in
		})
	}
}

// The end of the stream ends the connection.
func TestStreamEnds(t *testing.T) {
	t.Parallel()
	s, c := connectToServer(t, nil)
	s.out <- "data: {\"jsonrpc\":\"2.0\",\"method\":\"last\"}\n\n"
	close(s.out)
	if m := string(receiveFrame(t, c).Message); !strings.Contains(m, "last") {
		t.Errorf("message = %s", m)
	}
	if reason := waitExit(t, c); !strings.Contains(reason, "closed the event stream") {
		t.Errorf("exit reason = %s", reason)
	}
	if err := c.Send(t.Context(), []byte(`{}`)); err == nil {
		t.Error("Send() on an ended connection = nil, want an error")
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	_, c := connectToServer(t, nil)
	_ = c.Close()
	_ = c.Close()
	if reason := waitExit(t, c); !strings.Contains(reason, "closed") {
		t.Errorf("exit reason = %s", reason)
	}
}

func TestConnectFails(t *testing.T) {
	t.Parallel()
	stream := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, text)
		}
	}
	tests := []struct {
		name    string
		h       http.HandlerFunc
		message string
	}{
		{"unauthorized", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "401 Unauthorized: check the headers"},
		{"not found", http.NotFound, "404 Not Found: check the URL"},
		{"a web page", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, "web page"},
		{"not a stream", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, "{}")
		}, "application/json"},
		{"no endpoint", stream("data: {}\n\n"), "before it sent its endpoint event"},
		{"an endpoint on another host", stream("event: endpoint\ndata: https://example.com/?key=secret\n\n"), "another server"},
		{"an endpoint on another port", stream("event: endpoint\ndata: http://127.0.0.1:1/\n\n"), "another server"},
		{"an endpoint at a metadata address", stream("event: endpoint\ndata: //169.254.169.254/latest\n\n"), "another server"},
		{"an invalid URL", stream("event: endpoint\ndata: http://[\n\n"), "invalid URL"},
		{"a redirect to another host", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.com/?key=secret", http.StatusFound)
		}, "which is another server"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(tt.h)
			t.Cleanup(s.Close)
			_, err := dial(t, s.URL)
			var e *sdk.Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, tt.message) || strings.Contains(e.Message, "secret") {
				t.Errorf("err = %v, want one with %q", err, tt.message)
			}
		})
	}
}

// A caller that cancels Connect leaves no request behind.
func TestConnect_cancelled(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
		close(done)
	}))
	defer s.Close()
	web, err := remote.NewWeb(remote.Settings{
		Allow: []string{"127.0.0.1"}, ConnectTimeout: time.Second, AnswerTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&transport{web: web}).Connect(ctx,
		mcptransport.Open{Config: []byte(`{"url":"` + s.URL + `"}`)}); err == nil {
		t.Error("Connect() = nil after its cancellation, want an error")
	}
	select {
	case <-done:
	case <-time.After(testTimeout):
		t.Error("the request is still running")
	}
}
