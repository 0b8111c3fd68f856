package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// Whatever goes wrong with a call, the call fails with a helpful message, and the next call
// works.
func TestCallErrors(t *testing.T) {
	t.Parallel()
	reply := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	tests := []struct {
		name    string
		h       http.HandlerFunc
		message string
	}{
		{"unauthorized", reply(401, "text/plain", "no"), "401 Unauthorized: check the headers"},
		{"forbidden", reply(403, "text/html", "<html>"), "403 Forbidden: check the headers"},
		{"not found", reply(404, "text/plain", "no"), "404 Not Found: check the URL"},
		{"no POST", reply(405, "text/plain", "no"), "405 Method Not Allowed"},
		{"too many", reply(429, "text/plain", "no"), "429"},
		{"down", reply(503, "text/html", "<html>"), "503 Service Unavailable"},
		{"a web page", reply(200, "text/html; charset=utf-8", "<html>"), "web page"},
		{"a web page with status 400", reply(400, "text/html", "<html>"), "web page"},
		{"text", reply(200, "text/plain", "hello"), "text/plain"},
		{"no content", reply(202, "", ""), "202"},
		{"invalid JSON", reply(200, "application/json", "{"), "not valid JSON"},
		{"not an object", reply(200, "application/json", "42"), "not a JSON object"},
		{"empty body", reply(200, "application/json", ""), "not valid JSON"},
		{"no answer to the call", reply(200, "application/json", `{"jsonrpc":"2.0","method":"n"}`), "without an answer"},
		{"a stream without an answer", reply(200, "text/event-stream", ": hello\n\n"), "broke the connection"},
		{"a stream of invalid events", reply(200, "text/event-stream", "data: {{{\n\nxyz\n\n"), "broke the connection"},
		{"a body that breaks", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			answer(w, "{")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "in the middle of its response"},
		{"a connection that breaks", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "broke the connection"},
		{"a stream that breaks", func(w http.ResponseWriter, _ *http.Request) {
			events(w, "data: {\"json")
			panic(http.ErrAbortHandler)
		}, "broke the connection"},
		{"an error of the server", reply(400, "application/json", `{"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"mine"}}`), `{"code":-32602,"message":"mine"}`},
		{"an error with a null id", reply(400, "application/json", `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"mine"}}`), `{"code":-32700,"message":"mine"}`},
		{"an error without an id", reply(500, "application/json", `{"jsonrpc":"2.0","error":{"code":-32700,"message":"mine","data":1.0}}`), `{"code":-32700,"message":"mine","data":1.0}`},
		{"a redirect to another host", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.com/mcp?key=secret", http.StatusTemporaryRedirect)
		}, "to http://example.com, which is another server"},
		{"a redirect to another port", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		}, "to http://127.0.0.1:1, which is another server"},
		{"a redirect to metadata", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusPermanentRedirect)
		}, "which is another server"},
		{"a redirect for browsers", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusFound)
		}, "to a web page"},
		{"endless redirects", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		}, "too often"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(bodyOf(r), `"good"`) {
					answer(w, `{"jsonrpc":"2.0","id":2,"result":{}}`)
					return
				}
				tt.h(w, r)
			})
			send(t, c, `{"jsonrpc":"2.0","id":"a","method":"bad"}`)
			for {
				m := receive(t, c)
				if strings.Contains(m, `"method"`) {
					continue
				}
				if !strings.Contains(m, `"id":"a"`) || !strings.Contains(m, `"error"`) || !strings.Contains(m, tt.message) ||
					strings.Contains(m, "secret") {
					t.Errorf("answer = %s, want an error with %s", m, tt.message)
				}
				break
			}
			send(t, c, `{"jsonrpc":"2.0","id":2,"method":"good"}`)
			want(t, c, `{"jsonrpc":"2.0","id":2,"result":{}}`)
		})
	}
}

// A redirect on the same server keeps the message and the headers.
func TestRedirect_sameServer(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mcp/" {
			http.Redirect(w, r, "/mcp/", http.StatusTemporaryRedirect)
			return
		}
		if r.Header.Get("X-Key") != "k" || r.Header.Get("Authorization") != "Bearer b" ||
			!strings.Contains(bodyOf(r), `"x"`) {
			t.Errorf("the redirected request has the headers %v", r.Header)
		}
		answer(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
	}))
	defer s.Close()
	c, err := newLocalTransport(t).Connect(t.Context(),
		mcptransport.Open{Config: config(t, s.URL+"/mcp", map[string]string{"x-key": "k", "Authorization": "Bearer b"})})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"x"}`)
	want(t, c, `"result"`)
}

// A server that accepts a call and never answers fails only that call.
func TestAnswerTimeout(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer s.Close()
	defer close(release)
	tr := configured(t,
		remote.Settings{Allow: []string{"127.0.0.1"}, ConnectTimeout: time.Second, AnswerTimeout: 50 * time.Millisecond})
	c := dial(t, tr, s.URL)
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"x"}`)
	want(t, c, `"id":1`, "did not answer in time")
}

// A rejected notification is logged.
func TestNotification_rejected(t *testing.T) {
	t.Parallel()
	c := connect(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	send(t, c, `{"jsonrpc":"2.0","method":"notifications/x"}`)
	if f := receiveFrame(t, c); !strings.Contains(f.Stderr, "could not send notifications/x") ||
		!strings.Contains(f.Stderr, "400") {
		t.Errorf("frame = %+v", f)
	}
}

func TestConnectFails(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closedAddress := l.Addr().String()
	_ = l.Close()
	up := httptest.NewServer(http.NotFoundHandler())
	defer up.Close()
	tests := []struct {
		name, url string
		allow     []string
		message   string
	}{
		{"closed port", "http://" + closedAddress + "/mcp?key=secret", []string{"127.0.0.1"}, closedAddress + " cannot be reached: the connection was refused"},
		{"not allowed", up.URL, nil, "a loopback address"},
		{"localhost is not allowed", strings.Replace(up.URL, "127.0.0.1", "localhost", 1), nil, "a loopback address"},
		{"metadata", "http://169.254.169.254/", []string{"0.0.0.0/0"}, "a link-local address"},
	}
	for _, tt := range tests {
		tr := configured(t, remote.Settings{Allow: tt.allow, ConnectTimeout: testTimeout, AnswerTimeout: testTimeout})
		_, err := tr.Connect(t.Context(), mcptransport.Open{Config: config(t, tt.url, nil)})
		if err == nil || !strings.Contains(err.Error(), tt.message) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: Connect() = %v, want an error with %q", tt.name, err, tt.message)
		}
		if e := sdk.AsError(err); e.Code == sdk.CodeInternal {
			t.Errorf("%s: Connect() = %v, want an error with %q", tt.name, err, tt.message)
		}
	}
}

// Close ends calls in progress.
func TestClose_duringCall(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		_ = bodyOf(r)
		events(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"started\"}\n\n")
		<-r.Context().Done()
		close(done)
	})
	send(t, c, `{"jsonrpc":"2.0","id":1,"method":"x"}`)
	want(t, c, "started")
	_ = c.Close()
	waitExit(t, c)
	select {
	case <-done:
	case <-time.After(testTimeout):
		t.Error("the request is still running after Close")
	}
}
