package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
	"github.com/agentarea/agentarea/test/memnet"
)

const eventsPath = "/things/1/events"

func TestStream_heartbeats(t *testing.T) {
	t.Parallel()
	s := newThings(t, noError, &apitest.Events{Last: apitest.Block}, func(o *api.Options) {
		o.Heartbeat, o.Recheck = time.Millisecond, time.Millisecond
	})
	lines, _ := s.OpenStream(t, eventsPath)
	for range 3 {
		line, err := lines.ReadString('\n')
		if err != nil || line != ": still here\n" && line != "\n" {
			t.Fatalf("got %q (%v), want heartbeats", line, err)
		}
	}
}

// The documents promise five seconds. Up to one passes until the server knows that the login has ended.
func TestStream_endsWithLogin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newThings(t, noError, &apitest.Events{Last: apitest.Block})
		const lasts = time.Minute + time.Millisecond
		time.AfterFunc(lasts, func() { s.Auth.End("ann") })
		began := time.Now()
		got := s.Do(t, "ann", "GET", eventsPath, "").Want(200).Body.String()
		if took := time.Since(began) - lasts; took < 0 || took > 4*time.Second {
			t.Errorf("the stream ended %s after the login, want at most 4s", took)
		}
		if want := `data: {"type":"error","error":{"code":"UNAUTHORIZED"`; !strings.Contains(got, want) {
			t.Errorf("got %s, want an UNAUTHORIZED event", got)
		}
		// The documents promise a heartbeat every 15 seconds. They are sent when the credential is checked.
		if n := strings.Count(got, ": still here\n\n"); n != 3 {
			t.Errorf("got %d heartbeats in %s, want 3", n, lasts)
		}
	})
}

func TestStream_endsWhenClientDisconnects(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	s := newThings(t, noError, &apitest.Events{
		Batches: [][]core.Event{{apitest.Event(1, `{"type":"start"}`)}},
		Last: func(ctx context.Context) error {
			defer close(ended)
			return apitest.Block(ctx)
		},
	})
	lines, disconnect := s.OpenStream(t, eventsPath)
	if line, err := lines.ReadString('\n'); err != nil || line != "id: 1\n" {
		t.Fatalf("got %q (%v)", line, err)
	}
	disconnect()
	<-ended
}

func TestStream_error(t *testing.T) {
	t.Parallel()
	s := newThings(t, noError, &apitest.Events{
		Batches: [][]core.Event{{apitest.Event(1, `{"type":"start"}`)}},
		Last:    func(context.Context) error { return apitest.ErrPrivate },
	})
	got := s.Do(t, "ann", "GET", eventsPath, "", "X-Request-ID: req-1").Want(200).Body.String()
	want := "id: 1\ndata: {\"type\":\"start\"}\n\n" +
		"data: {\"type\":\"error\",\"error\":{\"code\":\"INTERNAL_ERROR\",\"message\":\"Internal server error\",\"details\":{},\"request_id\":\"req-1\"}}\n\n"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestStream_limitOfUser(t *testing.T) {
	t.Parallel()
	s := newThings(t, noError, &apitest.Events{Last: apitest.Block}, func(o *api.Options) {
		o.Streams, o.Heartbeat, o.Recheck = 2, time.Millisecond, time.Millisecond
	})
	_, disconnect := s.OpenStream(t, eventsPath)
	s.OpenStream(t, eventsPath)
	f := s.Do(t, "ann", "GET", eventsPath, "").Want(429).Failure()
	if want := "Too many event streams: a user can have at most 2"; !strings.Contains(f.Message, want) {
		t.Errorf("got %q, want %q", f.Message, want)
	}
	disconnect()
	for s.API.OpenStreams() > 1 { // the server notices the end of the connection with the next heartbeat
		time.Sleep(time.Millisecond)
	}
	s.OpenStream(t, eventsPath)
}

// A client that does not read its reply must not hold the handler and the reply for ever.
func TestReply_writeDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newThings(t, noError, nil)
		ended := make(chan time.Duration, 1)
		s.API.HandleGet("/large", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			began := time.Now()
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					ended <- time.Since(began)
					return
				}
			}
		}))
		network := memnet.Listen()
		server := &http.Server{Handler: s.API.Handler()}
		go func() { _ = server.Serve(network) }()
		defer func() { _ = server.Close() }()
		conn, err := network.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if took := <-ended; took > 2*time.Minute {
			t.Errorf("the handler ended after %s, want about a minute", took)
		}
	})
}
