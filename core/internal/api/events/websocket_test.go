package events

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
	"github.com/agentarea/agentarea/test/memnet"
)

// hub is a Hub to which a test adds notifications.
type hub struct {
	mu     sync.Mutex
	all    []*core.Notification
	queues map[string][]core.NotificationQueue
	// hold, if it is not nil, blocks replays until it is closed. replays is their number.
	hold    chan struct{}
	replays atomic.Int64
}

func (l *hub) Last() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.all))
}

// Newest is one more than Last, as if another server had just stored a notification.
func (l *hub) Newest(context.Context) (int64, error) { return l.Last() + 1, nil }

func (l *hub) Subscribe(
	_ context.Context, channel string, f core.NotificationFilter,
	after int64, q core.NotificationQueue, send func([][]byte) error,
) (func(), error) {
	for {
		missed := l.subscribeAt(channel, after, q)
		if len(missed) == 0 {
			break
		}
		l.replays.Add(1)
		if l.hold != nil {
			<-l.hold
		}
		for _, n := range missed {
			after = n.Seq
			if !f.Matches(n) {
				continue
			}
			if err := send([][]byte{n.Data}); err != nil {
				return nil, err
			}
		}
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.queues, channel)
	}, nil
}

// subscribeAt adds q to a channel, unless there are notifications after the number, which it returns.
func (l *hub) subscribeAt(channel string, after int64, q core.NotificationQueue) (missed []*core.Notification) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if missed = l.all[min(after, int64(len(l.all))):]; len(missed) == 0 {
		l.queues[channel] = append(l.queues[channel], q)
	}
	return missed
}

func (l *hub) add(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := &core.Notification{Seq: int64(len(l.all) + 1), Type: core.NotificationSystem, Data: json.RawMessage(text)}
	l.all = append(l.all, n)
	for _, q := range l.queues["system"] {
		q.Put(n.Data)
	}
}

// testEnv is the API with a server.
type testEnv struct {
	*apitest.Server
	hub    *hub
	agents apitest.Agents
	server *server
	url    string
	http   *http.Client
}

// noTasks is a Tasks without tasks.
type noTasks struct{}

func (noTasks) Task(_ context.Context, _ core.Actor, id string) (*core.Task, error) {
	return nil, core.NotFound("task", id)
}

func newAPI(t *testing.T, times Timeouts) *testEnv {
	t.Helper()
	h := &hub{queues: map[string][]core.NotificationQueue{}}
	env := &testEnv{Server: apitest.New(t), hub: h, agents: apitest.Agents{}}
	env.server = register(env.API, Options{Hub: h, Agents: env.agents, Tasks: noTasks{}, Timeouts: times})
	env.agents.Add("agent-ann", "ann")
	return env
}

// newEnv returns the API on a real listener.
func newEnv(t *testing.T, times Timeouts) *testEnv {
	t.Helper()
	env := newAPI(t, times)
	s := httptest.NewServer(env.API.Handler())
	t.Cleanup(func() {
		env.server.close()
		s.Close()
	})
	env.url = "ws" + strings.TrimPrefix(s.URL, "http") + "/v1/ws"
	return env
}

// withFakeClock runs a test with the API on a listener in memory. The clock advances only while all
// goroutines wait, so that the load of the machine does not matter.
func withFakeClock(t *testing.T, test func(t *testing.T, env *testEnv)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		env := newAPI(t, DefaultTimeouts)
		l := memnet.Listen()
		s := &http.Server{Handler: env.API.Handler()}
		go func() { _ = s.Serve(l) }()
		t.Cleanup(func() {
			env.server.close()
			_ = s.Close()
			time.Sleep(2 * DefaultTimeouts.Check) // checkAll ends
		})
		env.url = "ws://server.example/v1/ws"
		env.http = l.Client()
		test(t, env)
	})
}

// client is the client's end of a connection.
type client struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
}

func (env *testEnv) dial(t *testing.T, header ...string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	o := &websocket.DialOptions{HTTPHeader: http.Header{}, HTTPClient: env.http}
	if len(header) > 0 {
		o.HTTPHeader.Set(header[0], header[1])
	}
	conn, _, err := websocket.Dial(ctx, env.url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{t: t, ctx: ctx, conn: conn}
}

func (env *testEnv) signedIn(t *testing.T, username string) *client {
	t.Helper()
	w := env.dial(t)
	w.send(`{"type":"auth","token":"` + env.Tokens[username] + `"}`)
	w.want(`{"type":"auth.ok"}`)
	return w
}

func (w *client) send(text string) {
	w.t.Helper()
	if err := w.conn.Write(w.ctx, websocket.MessageText, []byte(text)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *client) read() string {
	w.t.Helper()
	_, data, err := w.conn.Read(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

func (w *client) want(text string) {
	w.t.Helper()
	if got := w.read(); !strings.Contains(got, text) {
		w.t.Fatalf("got %s, want %s", got, text)
	}
}

// ended reads until the connection is closed, and fails the test unless the close code is code.
func (w *client) ended(code websocket.StatusCode) {
	w.t.Helper()
	for {
		if _, _, err := w.conn.Read(w.ctx); err != nil {
			if got := websocket.CloseStatus(err); got != code {
				w.t.Fatalf("got close code %v (%v), want %v", got, err, code)
			}
			return
		}
	}
}

func TestWebSocket_signIn(t *testing.T) {
	t.Parallel()
	times := DefaultTimeouts
	times.Auth = 300 * time.Millisecond
	env := newEnv(t, times)
	for _, first := range []string{
		`{"type":"auth","token":"a.b.c"}`, `{"type":"auth"}`, `{"type":"subscribe","channel":"tasks"}`,
	} {
		w := env.dial(t)
		w.send(first)
		w.want(`"code":"UNAUTHORIZED"`)
		w.ended(websocket.StatusPolicyViolation) // when the time to sign in is over
	}
	guessing := env.dial(t)
	for range maxInvalid {
		guessing.send(`{"type":"auth","token":"a.b.c"}`)
	}
	guessing.ended(websocket.StatusPolicyViolation)
	silent := env.dial(t)
	if _, _, err := silent.conn.Read(silent.ctx); err == nil || silent.ctx.Err() != nil {
		t.Errorf("client without a message: got %v", err)
	}
}

func TestWebSocket_origin(t *testing.T) {
	t.Parallel()
	env := newEnv(t, DefaultTimeouts)
	_, r, err := websocket.Dial(t.Context(), env.url,
		&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}})
	if err == nil || r == nil || r.StatusCode != http.StatusForbidden ||
		r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("other origin: got %v, %+v", err, r)
	}
	host := strings.TrimSuffix(strings.TrimPrefix(env.url, "ws://"), "/v1/ws")
	env.dial(t, "Origin", "http://"+host)
	if got := env.Do(t, "ann", http.MethodGet, "/v1/ws", ""); got.Code != http.StatusBadRequest {
		t.Errorf("without an upgrade: got status %d", got.Code)
	}
	f := env.Do(t, "", http.MethodGet, "/v1/ws?token=a.b.c", "", "Upgrade: websocket").Want(400).Failure()
	if f.Details.Field != "token" {
		t.Errorf("with a token in the query: got %+v, want field token", f)
	}
}

// A refused message names the field at fault and does not close the connection, however many there are.
func TestWebSocket_refusedMessages(t *testing.T) {
	t.Parallel()
	env := newEnv(t, DefaultTimeouts)
	early := env.dial(t)
	early.send(`{"type":"subscribe","channel":"tasks"}`)
	early.want(`"details":{"field":"type","issue":"The first message must be`)
	early.send(`{"type":"auth","token":"a.b.c"}`)
	early.want(`"details":{"field":"token"`)
	early.send(`{"type":"auth","token":"` + env.Tokens["ann"] + `"}`)
	early.want(`{"type":"auth.ok"}`)

	env.hub.add(`{"n":1}`)
	w := env.signedIn(t, "ann")
	for range maxInvalid {
		for _, c := range []struct{ message, code, field, issue string }{
			{`{}`, "VALIDATION_ERROR", "type", "Field is required. Types: auth"},
			{`{"type":null}`, "VALIDATION_ERROR", "type", "Field is required"},
			{`{"type":7}`, "VALIDATION_ERROR", "type", "Must be a string"},
			{`{"type":"dance"}`, "VALIDATION_ERROR", "type", `Unknown message type "dance". Types: auth`},
			{`{"TYPE":"ping"}`, "VALIDATION_ERROR", "TYPE", `Unknown field "TYPE". Did you mean "type"?`},
			{`{"type":"subscribe","chanel":"x"}`, "VALIDATION_ERROR", "chanel", `Did you mean "channel"?`},
			{`{"type":"subscribe","channel":["tasks"]}`, "VALIDATION_ERROR", "channel", "Must be a string"},
			{`{"type":"subscribe","channel":"task"}`, "VALIDATION_ERROR", "channel", `Unknown channel "task"`},
			{`{"type":"subscribe","channel":"agent.agent-none.events"}`, "NOT_FOUND", "channel", "not found"},
			{`{"type":"subscribe","channel":"tasks","after":"1"}`, "VALIDATION_ERROR", "after", "Must be an integer"},
			{`{"type":"subscribe","channel":"tasks","after":1.5}`, "VALIDATION_ERROR", "after", "Must be an integer"},
			{`{"type":"subscribe","channel":"tasks","after":-1}`, "VALIDATION_ERROR", "after", "Must be the seq of a message, or 0"},
			{`{"type":"subscribe","channel":"tasks","after":3}`, "VALIDATION_ERROR", "after", "Must be at most 2, which is the seq"},
			{`{"type":"unsubscribe","channel":"tasks"}`, "VALIDATION_ERROR", "channel", "Not subscribed"},
			{`{"type":"auth","token":"a.b.c"}`, "UNAUTHORIZED", "token", ""},
			{`{"type":"auth","token":"` + env.Tokens["bob"] + `"}`, "FORBIDDEN", "token", "another user"},
		} {
			w.send(c.message)
			var got struct {
				Type  string
				Error api.Failure
			}
			reply := w.read()
			if err := json.Unmarshal([]byte(reply), &got); err != nil {
				t.Fatal(err)
			}
			e := got.Error
			if got.Type != "error" || string(e.Code) != c.code || e.Details.Field != c.field || e.RequestID == "" ||
				!strings.Contains(e.Details.Issue, c.issue) {
				t.Fatalf("%s is answered with %s, want %s of field %s: …%s…", c.message, reply, c.code, c.field, c.issue)
			}
		}
	}
	// Another server may have stored a notification that this one has not delivered yet.
	w.send(`{"type":"subscribe","channel":"tasks","after":2}`)
	w.want(`{"type":"subscribed","channel":"tasks","seq":2}`)
}

func TestWebSocket_channels(t *testing.T) {
	t.Parallel()
	env := newEnv(t, DefaultTimeouts)
	w := env.signedIn(t, "ann")
	w.send(`{"type":"ping"}`)
	w.want(`{"type":"pong"}`)
	for channel, want := range map[string]string{
		"agent.agent-none.events": `"code":"NOT_FOUND"`,
		"agent..events":           `"field":"channel"`,
		"agents":                  `"field":"channel"`,
		"":                        `"field":"channel"`,
		"agent.agent-ann":         `"field":"channel"`,
	} {
		w.send(fmt.Sprintf(`{"type":"subscribe","channel":%q}`, channel))
		w.want(want)
	}
	bob := env.signedIn(t, "bob")
	bob.send(`{"type":"subscribe","channel":"agent.agent-ann.events"}`)
	bob.want(`"code":"NOT_FOUND"`)
	env.hub.add(`{"n":1}`)
	w.send(`{"type":"subscribe","channel":"agent.agent-ann.events"}`)
	w.want(`{"type":"subscribed","channel":"agent.agent-ann.events","seq":1}`)
	w.send(`{"type":"subscribe","channel":"system","after":0}`)
	w.want(`"seq":0`)
	w.want(`{"n":1}`)
	env.hub.add(`{"n":2}`)
	w.want(`{"n":2}`)
	w.send(`{"type":"unsubscribe","channel":"system"}`)
	w.want(`"type":"unsubscribed"`)
	env.hub.add(`{"n":3}`)
	w.send(`{"type":"unsubscribe","channel":"system"}`)
	w.want(`Not subscribed`)
}

func TestWebSocket_invalidMessages(t *testing.T) {
	t.Parallel()
	env := newEnv(t, DefaultTimeouts)
	w := env.signedIn(t, "ann")
	for _, garbage := range []string{
		"", "x", "[]", "null", `{"type":"ping"}{}`, `{"type":"\u0000"}`, "\"\xff\"",
	} {
		w.send(garbage)
		w.want(`"code":"VALIDATION_ERROR"`)
	}
	w.send(`{"type":"ping"}`)
	w.want("pong")
	for range maxInvalid {
		w.send("garbage")
	}
	w.ended(websocket.StatusPolicyViolation)
	big := env.signedIn(t, "ann")
	// the server may close the connection before the end
	_ = big.conn.Write(big.ctx, websocket.MessageText, make([]byte, 1<<20))
	big.ended(websocket.StatusMessageTooBig)
}

// fillQueue adds notifications until the queue of the only connection is full, and returns their number.
func (env *testEnv) fillQueue() (added int) {
	synctest.Wait() // until the subscription is active
	c := env.server.connections()[0]
	full := func() bool {
		c.queue.mu.Lock()
		defer c.queue.mu.Unlock()
		return c.queue.full
	}
	for !full() {
		env.hub.add(fmt.Sprintf(`{"n":%d,"text":%q}`, added, strings.Repeat("x", 4096)))
		added++
	}
	return added
}

// A client that reads too slowly is disconnected with a status, and gets everything when it connects again.
func TestWebSocket_slowClient(t *testing.T) {
	t.Parallel()
	withFakeClock(t, func(t *testing.T, env *testEnv) {
		w := env.signedIn(t, "ann")
		w.send(`{"type":"subscribe","channel":"system"}`)
		w.want("subscribed")
		n := env.fillQueue()
		var got int
		for {
			_, _, err := w.conn.Read(w.ctx)
			if err != nil {
				if code := websocket.CloseStatus(err); code != websocket.StatusTryAgainLater {
					t.Fatalf("got close code %v (%v), want %v", code, err, websocket.StatusTryAgainLater)
				}
				break
			}
			got++
		}
		if got < maxQueued || got >= n {
			t.Fatalf("got %d messages of %d, want at least the %d queued ones but not all", got, n, maxQueued)
		}
		again := env.signedIn(t, "ann")
		again.send(fmt.Sprintf(`{"type":"subscribe","channel":"system","after":%d}`, got))
		again.want("subscribed")
		for i := got; i < n; i++ {
			again.want(fmt.Sprintf(`{"n":%d,`, i))
		}
	})
}

// A client that does not read at all is disconnected when the time for a write is over. It cannot receive
// a status, which would come after the messages that it does not read.
func TestWebSocket_clientDoesNotRead(t *testing.T) {
	t.Parallel()
	withFakeClock(t, func(t *testing.T, env *testEnv) {
		w := env.signedIn(t, "ann")
		w.send(`{"type":"subscribe","channel":"system"}`)
		w.want("subscribed")
		began := time.Now()
		env.fillQueue()
		for len(env.server.connections()) > 0 {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(began).Round(time.Second); took != DefaultTimeouts.Write {
			t.Errorf("the connection ended after %s, want %s", took, DefaultTimeouts.Write)
		}
		for {
			if _, _, err := w.conn.Read(w.ctx); err != nil {
				if code := websocket.CloseStatus(err); code != -1 {
					t.Errorf("got close code %v, want none", code)
				}
				break
			}
		}
	})
}

// The documents promise five seconds. Up to one passes until the server knows that the login has ended.
func TestWebSocket_endsWithLogin(t *testing.T) {
	t.Parallel()
	withFakeClock(t, func(t *testing.T, env *testEnv) {
		w := env.signedIn(t, "ann")
		time.Sleep(10*time.Second + time.Millisecond)
		env.Auth.End("ann")
		began := time.Now()
		w.ended(websocket.StatusPolicyViolation)
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("the connection ended %s after the login, want at most 4s", took)
		}
	})
}

func TestWebSocket_endsWithServer(t *testing.T) {
	t.Parallel()
	env := newEnv(t, DefaultTimeouts)
	w := env.signedIn(t, "ann")
	go env.server.close()
	w.ended(websocket.StatusGoingAway)
	late := env.dial(t)
	late.send(`{"type":"auth","token":"` + env.Tokens["ann"] + `"}`)
	late.want(`"code":"SERVICE_UNAVAILABLE"`)
	late.ended(websocket.StatusTryAgainLater)
}

// A client that floods its connection is disconnected, and so is one that floods many connections.
func TestWebSocket_frameBudget(t *testing.T) {
	t.Parallel()
	withFakeClock(t, func(t *testing.T, env *testEnv) {
		w, other := env.signedIn(t, "ann"), env.signedIn(t, "bob")
		for range frames {
			w.send(`{"type":"ping"}`)
			w.want("pong")
		}
		w.send(`{"type":"ping"}`)
		w.ended(websocket.StatusPolicyViolation)
		other.send(`{"type":"ping"}`)
		other.want("pong")
		// Of her budget, ann has used that of one connection.
		sent := frames
		for sent < userFrames {
			w := env.signedIn(t, "ann")
			for range min(frames, userFrames-sent) {
				w.send(`{"type":"ping"}`)
				w.want("pong")
				sent++
			}
		}
		w = env.signedIn(t, "ann")
		w.send(`{"type":"ping"}`)
		w.ended(websocket.StatusPolicyViolation)
		time.Sleep(time.Second)
		w = env.signedIn(t, "ann")
		w.send(`{"type":"ping"}`)
		w.want("pong")
	})
}

// The connections of a user read earlier notifications by turns. Those of others do not wait for them.
func TestWebSocket_replays(t *testing.T) {
	t.Parallel()
	withFakeClock(t, func(t *testing.T, env *testEnv) {
		env.hub.add("{}")
		env.hub.hold = make(chan struct{})
		replay := func(username string) {
			w := env.signedIn(t, username)
			w.send(`{"type":"subscribe","channel":"system","after":0}`)
			go func() {
				for {
					if _, _, err := w.conn.Read(w.ctx); err != nil {
						return
					}
				}
			}()
		}
		for range maxReplays + 3 {
			replay("ann")
		}
		replay("bob")
		live := env.signedIn(t, "ann")
		live.send(`{"type":"subscribe","channel":"system"}`)
		live.want("subscribed")
		synctest.Wait()
		if got, want := env.hub.replays.Load(), int64(maxReplays+1); got != want {
			t.Errorf("%d replays run, want %d: %d of ann and one of bob", got, want, maxReplays)
		}
		close(env.hub.hold)
		synctest.Wait()
		if got, want := env.hub.replays.Load(), int64(maxReplays+4); got != want {
			t.Errorf("%d replays have run at the end, want %d", got, want)
		}
	})
}

// Only the client that does not answer pings is disconnected.
func TestWebSocket_ping(t *testing.T) {
	t.Parallel()
	withFakeClock(t, func(t *testing.T, env *testEnv) {
		silent, answering := env.signedIn(t, "ann"), env.signedIn(t, "bob")
		answer := make(chan string)
		go func() { answer <- answering.read() }() // a client answers pings only while it reads
		began := time.Now()
		for len(env.server.connections()) > 1 {
			time.Sleep(100 * time.Millisecond)
		}
		maximum := DefaultTimeouts.Ping + DefaultTimeouts.Pong + DefaultTimeouts.Check
		if took := time.Since(began); took < DefaultTimeouts.Ping || took > maximum {
			t.Errorf("the connection ended after %s, want %s to %s", took, DefaultTimeouts.Ping, maximum)
		}
		answering.send(`{"type":"ping"}`)
		if got := <-answer; !strings.Contains(got, "pong") {
			t.Error(got)
		}
		_ = silent.conn.CloseNow()
	})
}

// An accepted message is one JSON object and nothing after it.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		`{"type":"auth","token":"t"}`, `{"type":"subscribe","channel":"tasks","after":7}`,
		`{"after":-1}`, `{"type":"a"}}`, `{"type":"a"} {}`, `null`, `{"TYPE":"a"}`, `[]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m *clientMessage
		fields, err := decodeObject(websocket.MessageText, data)
		if err == nil {
			m, err = newMessage(fields)
		}
		if err != nil {
			apitest.WantPublicError(t, err)
			return
		}
		if !json.Valid(data) {
			t.Errorf("%q is accepted, want an error", data)
		}
		if m.After != nil && *m.After < 0 {
			t.Errorf("got After = %d", *m.After)
		}
	})
}
