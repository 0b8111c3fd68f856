package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/agentarea/agentarea/core"
)

// line is a hub whose notifications a test puts in.
type line struct {
	mu     sync.Mutex
	all    []*core.Notification
	queues map[string][]core.NotificationQueue
}

func (l *line) Last() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.all))
}

func (l *line) Subscribe(
	_ context.Context, channel string, f core.NotificationFilter, after int64, q core.NotificationQueue, send func([][]byte) error,
) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.all[min(after, int64(len(l.all))):] {
		if f.Matches(n) {
			if err := send([][]byte{n.Data}); err != nil {
				return nil, err
			}
		}
	}
	l.queues[channel] = append(l.queues[channel], q)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.queues, channel)
	}, nil
}

func (l *line) tell(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := &core.Notification{Seq: int64(len(l.all) + 1), Type: core.NotificationSystem, Data: json.RawMessage(text)}
	l.all = append(l.all, n)
	for _, q := range l.queues["system"] {
		q.Put(n.Data)
	}
}

// wsBench is an API that listens.
type wsBench struct {
	*bench
	line *line
	url  string
}

func newWSBench(t *testing.T, times socketTimes) *wsBench {
	t.Helper()
	l := &line{queues: map[string][]core.NotificationQueue{}}
	b := newBench(t, func(o *Options) { o.Hub, o.Logger = l, slog.New(slog.DiscardHandler) })
	b.api.sockets.times = times
	b.addAgent("agent-ann", "ann")
	server := httptest.NewServer(b.handler)
	t.Cleanup(func() {
		b.api.sockets.stop()
		server.Close()
	})
	return &wsBench{bench: b, line: l, url: "ws" + strings.TrimPrefix(server.URL, "http") + "/v1/ws"}
}

// wire is a client's end of a connection.
type wire struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
}

func (b *wsBench) dial(t *testing.T, header ...string) *wire {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	o := &websocket.DialOptions{HTTPHeader: http.Header{}}
	if len(header) > 0 {
		o.HTTPHeader.Set(header[0], header[1])
	}
	conn, _, err := websocket.Dial(ctx, b.url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &wire{t: t, ctx: ctx, conn: conn}
}

func (b *wsBench) signedIn(t *testing.T, who string) *wire {
	t.Helper()
	w := b.dial(t)
	w.say(`{"type":"auth","token":"` + b.tokens[who] + `"}`)
	w.want(`{"type":"auth.ok"}`)
	return w
}

func (w *wire) say(text string) {
	w.t.Helper()
	if err := w.conn.Write(w.ctx, websocket.MessageText, []byte(text)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) hear() string {
	w.t.Helper()
	_, data, err := w.conn.Read(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

func (w *wire) want(text string) {
	w.t.Helper()
	if got := w.hear(); !strings.Contains(got, text) {
		w.t.Fatalf("got %s, want %s", got, text)
	}
}

// ended reads up to the end and wants it to have a code.
func (w *wire) ended(code websocket.StatusCode) {
	w.t.Helper()
	for {
		if _, _, err := w.conn.Read(w.ctx); err != nil {
			if got := websocket.CloseStatus(err); got != code {
				w.t.Fatalf("it ended with %v (%v), want %v", got, err, code)
			}
			return
		}
	}
}

func TestWebSocketSignIn(t *testing.T) {
	t.Parallel()
	times := defaultSocketTimes
	times.auth = 300 * time.Millisecond
	b := newWSBench(t, times)
	for _, first := range []string{
		`{"type":"auth","token":"a.b.c"}`, `{"type":"auth"}`, `{"type":"subscribe","channel":"tasks"}`,
	} {
		w := b.dial(t)
		w.say(first)
		w.want(`"code":"UNAUTHORIZED"`)
		w.ended(websocket.StatusPolicyViolation)
	}
	silent := b.dial(t)
	if _, _, err := silent.conn.Read(silent.ctx); err == nil || silent.ctx.Err() != nil {
		t.Errorf("a client that says nothing: %v", err)
	}
}

func TestWebSocketRefusals(t *testing.T) {
	t.Parallel()
	b := newWSBench(t, defaultSocketTimes)
	_, r, err := websocket.Dial(t.Context(), b.url, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}})
	if err == nil || r == nil || r.StatusCode != http.StatusForbidden || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("a foreign page: %v, %+v", err, r)
	}
	host := strings.TrimSuffix(strings.TrimPrefix(b.url, "ws://"), "/v1/ws")
	b.dial(t, "Origin", "http://"+host)
	if got := b.do(t, "ann", http.MethodGet, "/v1/ws", ""); got.Code != http.StatusBadRequest {
		t.Errorf("without an upgrade: %d", got.Code)
	}
}

func TestWebSocketChannels(t *testing.T) {
	t.Parallel()
	b := newWSBench(t, defaultSocketTimes)
	w := b.signedIn(t, "ann")
	w.say(`{"type":"ping"}`)
	w.want(`{"type":"pong"}`)
	for channel, want := range map[string]string{
		"agent.agent-none.events": `"code":"NOT_FOUND"`,
		"agent..events":           `"field":"channel"`,
		"agents":                  `"field":"channel"`,
		"":                        `"field":"channel"`,
		"agent.agent-ann":         `"field":"channel"`,
	} {
		w.say(fmt.Sprintf(`{"type":"subscribe","channel":%q}`, channel))
		w.want(want)
	}
	bob := b.signedIn(t, "bob")
	bob.say(`{"type":"subscribe","channel":"agent.agent-ann.events"}`)
	bob.want(`"code":"NOT_FOUND"`)
	b.line.tell(`{"n":1}`)
	w.say(`{"type":"subscribe","channel":"agent.agent-ann.events"}`)
	w.want(`{"type":"subscribed","channel":"agent.agent-ann.events","seq":1}`)
	w.say(`{"type":"subscribe","channel":"system","after":0}`)
	w.want(`"seq":0`)
	w.want(`{"n":1}`)
	b.line.tell(`{"n":2}`)
	w.want(`{"n":2}`)
	w.say(`{"type":"unsubscribe","channel":"system"}`)
	w.want(`"type":"unsubscribed"`)
	b.line.tell(`{"n":3}`)
	w.say(`{"type":"unsubscribe","channel":"system"}`)
	w.want(`There is no subscription`)
}

func TestWebSocketGarbage(t *testing.T) {
	t.Parallel()
	b := newWSBench(t, defaultSocketTimes)
	w := b.signedIn(t, "ann")
	for _, garbage := range []string{"", "x", "[]", `{"type":"dance"}`, `{"type":"ping","x":1}`, `{"type":"subscribe","channel":"tasks","after":-1}`} {
		w.say(garbage)
		w.want(`"code":"VALIDATION_ERROR"`)
	}
	w.say(`{"type":"ping"}`)
	w.want("pong")
	for range maxMistakes {
		w.say("garbage")
	}
	w.ended(websocket.StatusPolicyViolation)
	big := b.signedIn(t, "ann")
	_ = big.conn.Write(big.ctx, websocket.MessageText, make([]byte, 1<<20)) // it may be cut off meanwhile
	big.ended(websocket.StatusMessageTooBig)
}

// A client that reads nothing is let go, and finds everything when it comes back.
func TestWebSocketSlowClient(t *testing.T) {
	t.Parallel()
	b := newWSBench(t, defaultSocketTimes)
	w := b.signedIn(t, "ann")
	w.say(`{"type":"subscribe","channel":"system"}`)
	w.want("subscribed")
	const n = 20 * maxQueued
	for i := range n {
		b.line.tell(fmt.Sprintf(`{"n":%d,"text":%q}`, i, strings.Repeat("x", 4096)))
	}
	var got int
	for {
		_, _, err := w.conn.Read(w.ctx)
		if err != nil {
			// On a busy machine the server may close the connection before the client gets the status.
			if code := websocket.CloseStatus(err); code != websocket.StatusTryAgainLater && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("the connection ends with %v (%v), want StatusTryAgainLater", code, err)
			}
			break
		}
		got++
	}
	if got == 0 || got == n {
		t.Fatalf("%d messages came", got)
	}
	again := b.signedIn(t, "ann")
	again.say(fmt.Sprintf(`{"type":"subscribe","channel":"system","after":%d}`, got))
	again.want("subscribed")
	for i := got; i < n; i++ {
		again.want(fmt.Sprintf(`{"n":%d,`, i))
	}
}

func TestWebSocketEndsWithItsLogin(t *testing.T) {
	t.Parallel()
	times := defaultSocketTimes
	times.check = 20 * time.Millisecond
	b := newWSBench(t, times)
	w := b.signedIn(t, "ann")
	if got := b.do(t, "ann", http.MethodPost, "/v1/auth/logout", ""); got.Code >= 300 {
		t.Fatal(got.Code)
	}
	w.ended(websocket.StatusPolicyViolation)
}

func TestWebSocketsEndWithTheServer(t *testing.T) {
	t.Parallel()
	b := newWSBench(t, defaultSocketTimes)
	w := b.signedIn(t, "ann")
	go b.api.sockets.stop()
	w.ended(websocket.StatusGoingAway)
	late := b.dial(t)
	late.say(`{"type":"auth","token":"` + b.tokens["ann"] + `"}`)
	late.want(`"code":"SERVICE_UNAVAILABLE"`)
	late.ended(websocket.StatusTryAgainLater)
}

// The dead are noticed, the living are not disturbed.
func TestWebSocketPing(t *testing.T) {
	t.Parallel()
	times := defaultSocketTimes
	times.check, times.ping, times.pong = 10*time.Millisecond, 30*time.Millisecond, 100*time.Millisecond
	b := newWSBench(t, times)
	dead, alive := b.signedIn(t, "ann"), b.signedIn(t, "bob")
	heard := make(chan string)
	go func() { heard <- alive.hear() }() // only who reads answers pings
	deadline := time.Now().Add(10 * time.Second)
	for len(b.api.sockets.all()) > 1 {
		if time.Now().After(deadline) {
			t.Fatal("the dead one is still there")
		}
		time.Sleep(5 * time.Millisecond)
	}
	alive.say(`{"type":"ping"}`)
	if got := <-heard; !strings.Contains(got, "pong") {
		t.Error(got)
	}
	_ = dead.conn.CloseNow()
}
