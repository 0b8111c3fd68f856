package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// scriptedServer is a Conn whose responses the test sends, except for handshakes.
type scriptedServer struct {
	// received contains the messages from the gateway. The test sends the messages to it on outgoing.
	received chan *message
	outgoing chan string
	once     sync.Once
	closed   chan struct{}
}

func newScriptedServer() *scriptedServer {
	return &scriptedServer{
		received: make(chan *message, 100), outgoing: make(chan string, 100), closed: make(chan struct{}),
	}
}

func (s *scriptedServer) Send(_ context.Context, raw []byte) error {
	m, err := parseCompact(raw)
	if err != nil {
		return err
	}
	if strings.ContainsAny(string(raw), "\r\n") {
		return errors.New("the message contains a line break")
	}
	switch m.method {
	case "initialize":
		s.reply(m, `"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"x","version":"1"}}`)
	case "server/discover":
		s.reply(m, `"result":{"supportedVersions":["2026-07-28"],"capabilities":{},"serverInfo":{"name":"x","version":"1"}}`)
	default:
		s.received <- m
	}
	return nil
}

func (s *scriptedServer) Receive(ctx context.Context) ([]byte, error) {
	select {
	case text := <-s.outgoing:
		return []byte(text), nil
	default:
	}
	select {
	case text := <-s.outgoing:
		return []byte(text), nil
	case <-s.closed:
		return nil, errors.New("exit code 3")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *scriptedServer) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// next returns the next message from the gateway and checks its method.
func (s *scriptedServer) next(t *testing.T, method string) *message {
	t.Helper()
	select {
	case m := <-s.received:
		if m.method != method {
			t.Fatalf("got %s, want %s", m.raw, method)
		}
		return m
	case <-time.After(10 * time.Second):
		t.Fatalf("got no message, want %s", method)
		return nil
	}
}

// reply sends the response to m.
func (s *scriptedServer) reply(m *message, rest string) {
	s.outgoing <- fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,%s}`, m.id, rest)
}

// newLegacyEnv returns an environment with one scripted server and a session on it.
func newLegacyEnv(t *testing.T, change ...func(*Options)) (r *env, server *scriptedServer, session string) {
	t.Helper()
	server = newScriptedServer()
	r = newEnv(t, map[string]func() (Conn, error){"x": func() (Conn, error) { return server, nil }}, change...)
	return r, server, "Mcp-Session-Id: " + r.open(t, "/mcp/x/mcp", "ada")
}

// post sends a request in the background.
func (e *env) post(t *testing.T, token, body string, headers ...string) <-chan *httpResponse {
	t.Helper()
	out := make(chan *httpResponse, 1)
	go func() { out <- e.request(t, "POST", "/mcp/x/mcp", token, body, headers...) }()
	return out
}

// wait returns the response that arrives on a. It fails the test after 10 s.
func wait(t *testing.T, a <-chan *httpResponse) *httpResponse {
	t.Helper()
	select {
	case got := <-a:
		return got
	case <-time.After(10 * time.Second):
		t.Fatal("got no response within 10 s")
		return nil
	}
}

func TestForwardKeepsRawMessages(t *testing.T) {
	t.Parallel()
	r, server, session := newLegacyEnv(t)
	a := r.post(t, "ada",
		"{\n\"jsonrpc\":\"2.0\",\r\n\"id\":\"a\\u0022b\",\"method\":\"x/unknown\",\"params\":{\"n\":9007199254740993,\"f\":1.50,\"s\":\"\\u003c\"},\"more\":[1]}", session)
	m := server.next(t, "x/unknown")
	if want := `{"jsonrpc":"2.0","id":` + string(m.id) +
		`,"method":"x/unknown","params":{"n":9007199254740993,"f":1.50,"s":"\u003c"},"more":[1]}`; string(m.raw) != want {
		t.Errorf("server got %s, want %s", m.raw, want)
	}
	server.reply(m, `"result":{"n":9007199254740993,"f":1.50,"x":{"y":null}},"more":2`)
	if got := wait(t, a); !strings.Contains(got.body,
		`data: {"jsonrpc":"2.0","id":"a\u0022b","result":{"n":9007199254740993,"f":1.50,"x":{"y":null}},"more":2}`) {
		t.Errorf("client got %s, want the unchanged result", got.body)
	}
}

func TestRequestIDReuse(t *testing.T) {
	t.Parallel()
	r, server, session := newLegacyEnv(t)
	call := `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x"}}`
	first := r.post(t, "ada", call, session)
	m := server.next(t, "tools/call")
	if a := wait(t, r.post(t, "ada", call, session)); a.status != 400 || a.errorCode(t) != codeInvalidRequest {
		t.Errorf("got %+v, want status 400 and code %d", a, codeInvalidRequest)
	}
	server.reply(m, `"result":{}`)
	wait(t, first)
	// After the response the client may reuse the ID, and the server gets another one.
	again := r.post(t, "ada", call, session)
	next := server.next(t, "tools/call")
	if string(next.id) == string(m.id) {
		t.Errorf("server got the ID %s twice", m.id)
	}
	server.reply(next, `"result":{}`)
	wait(t, again)
}

func TestOpenCallsFailWhenServerExits(t *testing.T) {
	t.Parallel()
	r, server, session := newLegacyEnv(t)
	var calls []<-chan *httpResponse
	for id := range 3 {
		calls = append(calls,
			r.post(t, "ada", fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"x"}}`, id), session))
		server.next(t, "tools/call")
	}
	_ = server.Close()
	for _, c := range calls {
		if a := wait(t, c); !strings.Contains(a.body, "The connection to the MCP server has closed: exit code 3") {
			t.Errorf("got %+v, want an error with exit code 3", a)
		}
	}
	if a := wait(t,
		r.post(t, "ada", `{"jsonrpc":"2.0","id":9,"method":"ping"}`, session)); a.status != http.StatusNotFound {
		t.Errorf("ping after the server exited: got %+v, want status %d", a, http.StatusNotFound)
	}
}

func TestCallTimeout(t *testing.T) {
	t.Parallel()
	r, server, session := newLegacyEnv(t, func(o *Options) { o.Times = Times{Call: time.Second} })
	slow := r.post(t, "ada", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}`, session)
	m := server.next(t, "tools/call")
	if a := wait(t, slow); a.errorCode(t) != codeTimeout ||
		!strings.Contains(a.body, "sent no response to tools/call for 1s") {
		t.Errorf("got %+v, want the error code %d", a, codeTimeout)
	}
	if c := server.next(t, "notifications/cancelled"); string(get(c.params, "requestId")) != string(m.id) {
		t.Errorf("got %s, want requestId %s", c.raw, m.id)
	}
	server.reply(m, `"result":{}`) // too late: the gateway ignores it

	// Progress notifications restart the timeout.
	busy := r.post(t, "ada",
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"busy","_meta":{"progressToken":"p"}}}`, session)
	m = server.next(t, "tools/call")
	for range 4 {
		time.Sleep(300 * time.Millisecond) // less than the timeout
		server.outgoing <- `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}`
	}
	server.reply(m, `"result":{"late":true}`)
	if a := wait(t, busy); strings.Count(a.body, "notifications/progress") != 4 ||
		!strings.Contains(a.body, `"late":true`) {
		t.Errorf("got %+v, want 4 progress notifications and the result", a)
	}
}

func TestCancelNotification(t *testing.T) {
	t.Parallel()
	r, server, session := newLegacyEnv(t)
	call := r.post(t, "ada", `{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"x"}}`, session)
	m := server.next(t, "tools/call")
	if a := wait(t,
		r.post(t, "ada", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c","reason":"enough"}}`,
			session)); a.status != http.StatusAccepted {
		t.Errorf("got %+v, want status %d", a, http.StatusAccepted)
	}
	c := server.next(t, "notifications/cancelled")
	if string(get(c.params, "requestId")) != string(m.id) || stringValue(get(c.params, "reason")) != "enough" {
		t.Errorf("got %s, want requestId %s", c.raw, m.id)
	}
	wait(t, call)
}

func TestStreamResumesAfterLastEventID(t *testing.T) {
	t.Parallel()
	r, server, session := newLegacyEnv(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx,
		"POST", r.url+"/mcp/x/mcp",
		strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_meta":{"progressToken":5}}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
		"Authorization": {"Bearer ada"}, sessionHeader: {strings.TrimPrefix(session, "Mcp-Session-Id: ")},
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	m := server.next(t, "tools/call")
	server.outgoing <- `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":5,"progress":1}}`
	lines, id := bufio.NewScanner(resp.Body), ""
	for lines.Scan() && !strings.Contains(lines.Text(), "progress") {
		if v, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			id = v
		}
	}
	cancel()
	server.outgoing <- `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":5,"progress":2}}`
	server.reply(m, `"result":{"done":true}`)
	a := r.request(t, "GET", "/mcp/x/mcp", "ada", "", session, "Last-Event-ID: "+id)
	if a.status != http.StatusOK || strings.Contains(a.body, `"progress":1`) ||
		!strings.Contains(a.body, `"progress":2`) || !strings.Contains(a.body, `"done":true`) {
		t.Errorf("resume after %s: got %+v, want the second progress notification and the result", id, a)
	}
	if a := r.request(t, "GET", "/mcp/x/mcp", "ada", "", session, "Last-Event-ID: nonsense_1"); a.status != 400 {
		t.Errorf("got %+v, want status %d", a, 400)
	}
}

func TestIdleSessionIsClosed(t *testing.T) {
	t.Parallel()
	r, server, session := newLegacyEnv(t,
		func(o *Options) { o.Times = Times{Idle: 100 * time.Millisecond, Recheck: 20 * time.Millisecond} })
	// An open GET stream does not keep the session open, and ends with it.
	if a := r.request(t, "GET", "/mcp/x/mcp", "ada", "", session); a.status != http.StatusOK {
		t.Errorf("got %+v, want status %d", a, http.StatusOK)
	}
	<-server.closed
	if a := wait(t,
		r.post(t, "ada", `{"jsonrpc":"2.0","id":9,"method":"ping"}`, session)); a.status != http.StatusNotFound {
		t.Errorf("got %+v, want status %d", a, http.StatusNotFound)
	}
}

func TestSessionEndsWithLogin(t *testing.T) {
	t.Parallel()
	r, server, session := newLegacyEnv(t, func(o *Options) { o.Times = Times{Recheck: 10 * time.Millisecond} })
	get := make(chan *httpResponse, 1)
	go func() { get <- r.request(t, "GET", "/mcp/x/mcp", "ada", "", session) }()
	r.mu.Lock()
	r.ended["ada"] = true
	r.mu.Unlock()
	<-server.closed
	wait(t, get)
	if a := wait(t,
		r.post(t, "ada", `{"jsonrpc":"2.0","id":9,"method":"ping"}`, session)); a.status != http.StatusUnauthorized {
		t.Errorf("got %+v, want status %d", a, http.StatusUnauthorized)
	}
}

func TestSessionLimitEvictsIdlest(t *testing.T) {
	t.Parallel()
	r := newEverythingEnv(t, func(o *Options) { o.Limits.Sessions = 2 })
	first := "Mcp-Session-Id: " + r.open(t, everythingPath, "ada")
	second := "Mcp-Session-Id: " + r.open(t, everythingPath, "ada")
	r.open(t, everythingPath, "bob")
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	if a := r.request(t, "POST", everythingPath, "ada", ping, first); a.status != 200 {
		t.Errorf("got %+v, want status %d", a, 200)
	}
	third := "Mcp-Session-Id: " + r.open(t, everythingPath, "ada") // evicts second, which has been idle longest
	for session, status := range map[string]int{first: 200, second: 404, third: 200} {
		if a := r.request(t, "POST", everythingPath, "ada", ping, session); a.status != status {
			t.Errorf("got %+v, want status %d", a, status)
		}
	}
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}`

// newModernEnv returns an environment with a scripted server that supports modern revisions.
func newModernEnv(t *testing.T) (*env, *scriptedServer) {
	t.Helper()
	server := newScriptedServer()
	r := newEnv(t, map[string]func() (Conn, error){"x": func() (Conn, error) { return server, nil }})
	return r, server
}

// modernHeaders returns the headers that a modern request needs.
func modernHeaders(method string, more ...string) []string {
	return append([]string{"Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: " + method}, more...)
}

// Two users send the same request ID and progress token to the same server.
func TestModernCallsOfTwoUsersAreSeparate(t *testing.T) {
	t.Parallel()
	r, server := newModernEnv(t)
	body := func(user string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"` + user + `",` + modernMeta +
			`,"progressToken":"same"}}}`
	}
	calls := map[string]<-chan *httpResponse{}
	for _, user := range []string{"ada", "bob"} {
		calls[user] = r.post(t, user, body(user), modernHeaders("prompts/get", "Mcp-Name: "+user)...)
	}
	for range 2 {
		m := server.next(t, "prompts/get")
		user, token := stringValue(get(m.params, "name")), get(m.params, "_meta", "progressToken")
		server.outgoing <- fmt.Sprintf(
			`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1,"message":%q}}`,
			token, user,
		)
		server.reply(m, fmt.Sprintf(`"result":{"for":%q}`, user))
	}
	for user, other := range map[string]string{"ada": "bob", "bob": "ada"} {
		a := wait(t, calls[user])
		if !strings.Contains(a.body, `"progressToken":"same"`) || !strings.Contains(a.body, `"message":"`+user) ||
			!strings.Contains(a.body, `"id":1,"result":{"for":"`+user) || strings.Contains(a.body, other) {
			t.Errorf("%s got %+v, want only the messages of %[1]s", user, a)
		}
	}
}

func TestClosedModernRequestIsCancelled(t *testing.T) {
	t.Parallel()
	r, server := newModernEnv(t)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx,
		"POST", r.url+"/mcp/x/mcp",
		strings.NewReader(
			`{"jsonrpc":"2.0","id":4,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+
				modernMeta+`}}}`,
		))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
		"Authorization": {"Bearer ada"}, versionHeader: {version202607}, methodHeader: {methodListen},
	}
	done := make(chan struct{})
	lines := make(chan string, 10)
	go func() {
		defer close(done)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		for in := bufio.NewScanner(resp.Body); in.Scan(); {
			if strings.HasPrefix(in.Text(), "data: {") {
				lines <- in.Text()
			}
		}
	}()
	m := server.next(t, methodListen)
	server.outgoing <- fmt.Sprintf(
		`{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`, m.id,
	)
	if line := <-lines; !strings.Contains(line, `"io.modelcontextprotocol/subscriptionId":4}`) {
		t.Errorf("client got %s, want subscription ID 4", line)
	}
	cancel()
	<-done
	if c := server.next(t, "notifications/cancelled"); string(get(c.params, "requestId")) != string(m.id) {
		t.Errorf("got %s, want requestId %s", c.raw, m.id)
	}
}

func TestModernErrorStatus(t *testing.T) {
	t.Parallel()
	r, server := newModernEnv(t)
	for code, status := range map[int]int{
		codeMethodNotFound: 404, codeInvalidParams: 400,
		codeUnsupportedVersion: 400, codeMissingCapability: 400, -32603: 200, -5: 200,
	} {
		a := r.post(t, "ada", `{"jsonrpc":"2.0","id":1,"method":"x/y","params":{`+modernMeta+`}}}`, modernHeaders("x/y")...)
		server.reply(server.next(t, "x/y"), fmt.Sprintf(`"error":{"code":%d,"message":"no","data":{"why":1}}`, code))
		if got := wait(t, a); got.status != status || got.errorCode(t) != code ||
			!strings.Contains(got.body, `"data":{"why":1}`) {
			t.Errorf("code %d: got %+v, want status %d", code, got, status)
		}
	}
	for name, c := range map[string]struct {
		headers []string
		code    int
	}{
		"no method header":     {[]string{"Mcp-Protocol-Version: 2026-07-28"}, codeHeaderMismatch},
		"wrong method header":  {modernHeaders("x/z"), codeHeaderMismatch},
		"wrong version header": {[]string{"Mcp-Protocol-Version: 2027-01-01", "Mcp-Method: x/y"}, codeHeaderMismatch},
	} {
		a := wait(t, r.post(t, "ada", `{"jsonrpc":"2.0","id":1,"method":"x/y","params":{`+modernMeta+`}}}`, c.headers...))
		if a.status != 400 || a.errorCode(t) != c.code {
			t.Errorf("%s: got %+v, want status %d", name, a, 400)
		}
	}
}
