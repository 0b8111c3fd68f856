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

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func dial(t *testing.T, url string) (mcptransport.Conn, error) {
	t.Helper()
	tr := &transport{settings: remote.Settings{Allow: []string{"127.0.0.1"}, ConnectTimeout: 5 * time.Second, AnswerTimeout: patience}}
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

// server is one by hand: what comes in by POST, and what goes out by the stream.
type server struct {
	*httptest.Server
	in  chan string
	out chan string
	// post answers a POST; nil accepts it.
	post http.HandlerFunc
}

func serve(t *testing.T, post http.HandlerFunc) (*server, mcptransport.Conn) {
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

func send(t *testing.T, c mcptransport.Conn, message string) {
	t.Helper()
	if err := c.Send(t.Context(), []byte(message)); err != nil {
		t.Fatal(err)
	}
}

func frame(t *testing.T, c mcptransport.Conn) mcptransport.Frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f, err := c.Receive(ctx)
	if err != nil {
		t.Fatalf("Receive: %v", err)
	}
	return f
}

func exit(t *testing.T, c mcptransport.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := c.Receive(ctx)
	var e *mcptransport.Exit
	if !errors.As(err, &e) {
		t.Fatalf("Receive: %v", err)
	}
	return e.Message
}

// Messages arrive as they were sent, both ways.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	s, c := serve(t, nil)
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
			t.Errorf("the server got %s", got)
		}
		s.out <- "event: message\ndata: " + m + "\n\n"
		if got := string(frame(t, c).Message); got != m {
			t.Errorf("back came %s", got)
		}
	}
}

// What can't be passed on is left out, or fails its call; the rest goes on.
func TestOddEvents(t *testing.T) {
	t.Parallel()
	s, c := serve(t, nil)
	blob := strings.Repeat("x", mcptransport.MaxMessage)
	s.out <- "event: ping\ndata: {}\n\n: heartbeat\n\ndata: {{{\n\n"
	if f := frame(t, c); !strings.Contains(f.Stderr, "no JSON") {
		t.Errorf("frame = %+v", f)
	}
	s.out <- `data: {"jsonrpc":"2.0","method":"notifications/big","params":"` + blob + "\"}\n\n"
	if f := frame(t, c); !strings.Contains(f.Stderr, "notifications/big was longer") {
		t.Errorf("frame = %+v", f)
	}
	s.out <- `data: {"result":{"blob":"` + blob + "\"},\ndata: \"jsonrpc\":\"2.0\",\"id\":\"big\"}\n\n"
	if m := string(frame(t, c).Message); !strings.Contains(m, `"id":"big","error"`) || !strings.Contains(m, "16 MiB") {
		t.Errorf("message = %.200s", m)
	}
	s.out <- "data: {\"jsonrpc\":\"2.0\",\ndata: \"id\":1,\"result\":{}}\n\n"
	if m := string(frame(t, c).Message); m != `{"jsonrpc":"2.0","id":1,"result":{}}` {
		t.Errorf("message = %s", m)
	}
}

// A call that the server does not take fails, and nothing else.
func TestPostFails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		post http.HandlerFunc
		says string
	}{
		{"refused", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "403 Forbidden: check the headers"},
		{"broken", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "broke the connection"},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.com/", http.StatusTemporaryRedirect)
		}, "where nothing is sent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, c := serve(t, tt.post)
			send(t, c, `{"jsonrpc":"2.0","id":"a","method":"bad"}`)
			if m := string(frame(t, c).Message); !strings.Contains(m, `"id":"a","error"`) || !strings.Contains(m, tt.says) {
				t.Errorf("message = %s", m)
			}
			send(t, c, `{"jsonrpc":"2.0","method":"notifications/bad"}`)
			if line := frame(t, c).Stderr; !strings.Contains(line, "notifications/bad was not taken") || !strings.Contains(line, tt.says) {
				t.Errorf("line = %s", line)
			}
			send(t, c, `{"jsonrpc":"2.0","id":1,"method":"good"}`)
			<-s.in
		})
	}
}

// The end of the stream is the connection's.
func TestStreamEnds(t *testing.T) {
	t.Parallel()
	s, c := serve(t, nil)
	s.out <- "data: {\"jsonrpc\":\"2.0\",\"method\":\"last\"}\n\n"
	close(s.out)
	if m := string(frame(t, c).Message); !strings.Contains(m, "last") {
		t.Errorf("message = %s", m)
	}
	if why := exit(t, c); !strings.Contains(why, "ended the event stream") {
		t.Errorf("exit: %s", why)
	}
	if err := c.Send(t.Context(), []byte(`{}`)); err == nil {
		t.Error("a connection that has ended takes messages")
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	_, c := serve(t, nil)
	_ = c.Close()
	_ = c.Close()
	if why := exit(t, c); !strings.Contains(why, "closed") {
		t.Errorf("exit: %s", why)
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
		name string
		h    http.HandlerFunc
		says string
	}{
		{"unauthorized", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "401 Unauthorized: check the headers"},
		{"not there", http.NotFound, "404 Not Found: check the URL"},
		{"a web page", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, "web page"},
		{"no stream", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, "{}")
		}, "application/json"},
		{"no endpoint", stream("data: {}\n\n"), "before it said where messages go"},
		{"an endpoint elsewhere", stream("event: endpoint\ndata: https://example.com/?key=secret\n\n"), "another server"},
		{"an endpoint on another port", stream("event: endpoint\ndata: http://127.0.0.1:1/\n\n"), "another server"},
		{"an endpoint of metadata", stream("event: endpoint\ndata: //169.254.169.254/latest\n\n"), "another server"},
		{"no URL", stream("event: endpoint\ndata: http://[\n\n"), "no valid URL"},
		{"a redirect to elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.com/?key=secret", http.StatusFound)
		}, "where nothing is sent"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(tt.h)
			t.Cleanup(s.Close)
			_, err := dial(t, s.URL)
			var e *sdk.Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, tt.says) || strings.Contains(e.Message, "secret") {
				t.Errorf("err = %v; want %s", err, tt.says)
			}
		})
	}
}

// A caller who goes away leaves nothing behind.
func TestConnectIsGivenUp(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
		close(gone)
	}))
	defer s.Close()
	web, err := remote.NewWeb(remote.Settings{Allow: []string{"127.0.0.1"}, ConnectTimeout: time.Second, AnswerTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&transport{web: web}).Connect(ctx, mcptransport.Open{Config: []byte(`{"url":"` + s.URL + `"}`)}); err == nil {
		t.Error("a connection nobody waits for")
	}
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("the request goes on")
	}
}
