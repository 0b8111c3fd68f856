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

// scripted is a child whose part the test plays, but for handshakes.
type scripted struct {
	// got are the messages of the gateway, and say those for it.
	got  chan *message
	say  chan string
	once sync.Once
	gone chan struct{}
}

func newScripted() *scripted {
	return &scripted{got: make(chan *message, 100), say: make(chan string, 100), gone: make(chan struct{})}
}

func (s *scripted) Send(_ context.Context, raw []byte) error {
	m, err := cut(raw)
	if err != nil {
		return err
	}
	if strings.ContainsAny(string(raw), "\r\n") {
		return errors.New("a line break")
	}
	switch m.method {
	case "initialize":
		s.reply(m, `"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"x","version":"1"}}`)
	case "server/discover":
		s.reply(m, `"result":{"supportedVersions":["2026-07-28"],"capabilities":{},"serverInfo":{"name":"x","version":"1"}}`)
	default:
		s.got <- m
	}
	return nil
}

func (s *scripted) Receive(ctx context.Context) ([]byte, error) {
	select {
	case text := <-s.say:
		return []byte(text), nil
	default:
	}
	select {
	case text := <-s.say:
		return []byte(text), nil
	case <-s.gone:
		return nil, errors.New("exit code 3")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *scripted) Close() error {
	s.once.Do(func() { close(s.gone) })
	return nil
}

// next is the next message of the gateway, which must be of that method.
func (s *scripted) next(t *testing.T, method string) *message {
	t.Helper()
	select {
	case m := <-s.got:
		if m.method != method {
			t.Fatalf("got %s, want %s", m.raw, method)
		}
		return m
	case <-time.After(10 * time.Second):
		t.Fatalf("no %s came", method)
		return nil
	}
}

func (s *scripted) reply(m *message, rest string) {
	s.say <- fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,%s}`, m.id, rest)
}

// legacyScript is a rig with one scripted child and a session on it.
func legacyScript(t *testing.T, change ...func(*Options)) (r *rig, child *scripted, session string) {
	t.Helper()
	child = newScripted()
	r = newRig(t, map[string]func() (Child, error){"x": func() (Child, error) { return child, nil }}, change...)
	return r, child, "Mcp-Session-Id: " + r.open(t, "/mcp/x/mcp", "ada")
}

// post sends in the background.
func (r *rig) post(t *testing.T, token, body string, headers ...string) <-chan *answer {
	t.Helper()
	out := make(chan *answer, 1)
	go func() { out <- r.request(t, "POST", "/mcp/x/mcp", token, body, headers...) }()
	return out
}

func wait(t *testing.T, a <-chan *answer) *answer {
	t.Helper()
	select {
	case got := <-a:
		return got
	case <-time.After(10 * time.Second):
		t.Fatal("no answer came")
		return nil
	}
}

// What the gateway does not know passes as it came, but for line breaks and the id.
func TestMessagesPassAsTheyAre(t *testing.T) {
	t.Parallel()
	r, child, session := legacyScript(t)
	a := r.post(t, "ada", "{\n\"jsonrpc\":\"2.0\",\r\n\"id\":\"a\\u0022b\",\"method\":\"x/unknown\",\"params\":{\"n\":9007199254740993,\"f\":1.50,\"s\":\"\\u003c\"},\"more\":[1]}", session)
	m := child.next(t, "x/unknown")
	if want := `{"jsonrpc":"2.0","id":` + string(m.id) + `,"method":"x/unknown","params":{"n":9007199254740993,"f":1.50,"s":"\u003c"},"more":[1]}`; string(m.raw) != want {
		t.Errorf("the child got %s", m.raw)
	}
	child.reply(m, `"result":{"n":9007199254740993,"f":1.50,"x":{"y":null}},"more":2`)
	if got := wait(t, a); !strings.Contains(got.body, `data: {"jsonrpc":"2.0","id":"a\u0022b","result":{"n":9007199254740993,"f":1.50,"x":{"y":null}},"more":2}`) {
		t.Errorf("the client got %s", got.body)
	}
}

func TestAnIDThatIsUnderWay(t *testing.T) {
	t.Parallel()
	r, child, session := legacyScript(t)
	call := `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x"}}`
	first := r.post(t, "ada", call, session)
	m := child.next(t, "tools/call")
	if a := wait(t, r.post(t, "ada", call, session)); a.status != 400 || a.errorCode(t) != codeInvalidRequest {
		t.Errorf("%+v", a)
	}
	child.reply(m, `"result":{}`)
	wait(t, first)
	// Once it is answered it may come again, and the child gets another id.
	again := r.post(t, "ada", call, session)
	next := child.next(t, "tools/call")
	if string(next.id) == string(m.id) {
		t.Errorf("the child got the id %s again", m.id)
	}
	child.reply(next, `"result":{}`)
	wait(t, again)
}

func TestAChildThatEndsInMidCall(t *testing.T) {
	t.Parallel()
	r, child, session := legacyScript(t)
	var calls []<-chan *answer
	for id := range 3 {
		calls = append(calls, r.post(t, "ada", fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"x"}}`, id), session))
		child.next(t, "tools/call")
	}
	_ = child.Close()
	for _, c := range calls {
		if a := wait(t, c); !strings.Contains(a.body, "The MCP server has ended: exit code 3") {
			t.Errorf("%+v", a)
		}
	}
	if a := wait(t, r.post(t, "ada", `{"jsonrpc":"2.0","id":9,"method":"ping"}`, session)); a.status != http.StatusNotFound {
		t.Errorf("its session: %+v", a)
	}
}

func TestACallThatTakesTooLong(t *testing.T) {
	t.Parallel()
	r, child, session := legacyScript(t, func(o *Options) { o.Times = Times{Call: time.Second} })
	slow := r.post(t, "ada", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}`, session)
	m := child.next(t, "tools/call")
	if a := wait(t, slow); a.errorCode(t) != codeTimeout || !strings.Contains(a.body, "has not answered tools/call for 1s") {
		t.Errorf("%+v", a)
	}
	if c := child.next(t, "notifications/cancelled"); string(get(c.params, "requestId")) != string(m.id) {
		t.Errorf("%s is cancelled, and the call is %s", c.raw, m.id)
	}
	child.reply(m, `"result":{}`) // too late: nobody hears of it

	// One that tells of its progress has its time anew.
	busy := r.post(t, "ada", `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"busy","_meta":{"progressToken":"p"}}}`, session)
	m = child.next(t, "tools/call")
	for range 4 {
		time.Sleep(300 * time.Millisecond) // well within the time
		child.say <- `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}`
	}
	child.reply(m, `"result":{"late":true}`)
	if a := wait(t, busy); strings.Count(a.body, "notifications/progress") != 4 || !strings.Contains(a.body, `"late":true`) {
		t.Errorf("%+v", a)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	r, child, session := legacyScript(t)
	call := r.post(t, "ada", `{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"x"}}`, session)
	m := child.next(t, "tools/call")
	if a := wait(t, r.post(t, "ada", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c","reason":"enough"}}`, session)); a.status != http.StatusAccepted {
		t.Errorf("%+v", a)
	}
	c := child.next(t, "notifications/cancelled")
	if string(get(c.params, "requestId")) != string(m.id) || text(get(c.params, "reason")) != "enough" {
		t.Errorf("%s", c.raw)
	}
	wait(t, call)
}

// A stream that was cut goes on after the last event that the client has.
func TestResume(t *testing.T) {
	t.Parallel()
	r, child, session := legacyScript(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", r.url+"/mcp/x/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_meta":{"progressToken":5}}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Authorization": {"Bearer ada"}, sessionHeader: {strings.TrimPrefix(session, "Mcp-Session-Id: ")}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	m := child.next(t, "tools/call")
	child.say <- `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":5,"progress":1}}`
	lines, id := bufio.NewScanner(resp.Body), ""
	for lines.Scan() && !strings.Contains(lines.Text(), "progress") {
		if v, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			id = v
		}
	}
	cancel()
	child.say <- `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":5,"progress":2}}`
	child.reply(m, `"result":{"done":true}`)
	a := r.request(t, "GET", "/mcp/x/mcp", "ada", "", session, "Last-Event-ID: "+id)
	if a.status != http.StatusOK || strings.Contains(a.body, `"progress":1`) || !strings.Contains(a.body, `"progress":2`) || !strings.Contains(a.body, `"done":true`) {
		t.Errorf("after %s: %+v", id, a)
	}
	if a := r.request(t, "GET", "/mcp/x/mcp", "ada", "", session, "Last-Event-ID: nonsense_1"); a.status != 400 {
		t.Errorf("%+v", a)
	}
}

func TestIdleSessionsEnd(t *testing.T) {
	t.Parallel()
	r, child, session := legacyScript(t, func(o *Options) { o.Times = Times{Idle: 100 * time.Millisecond, Recheck: 20 * time.Millisecond} })
	// A GET that is open does not keep it, and ends with it.
	if a := r.request(t, "GET", "/mcp/x/mcp", "ada", "", session); a.status != http.StatusOK {
		t.Errorf("%+v", a)
	}
	<-child.gone
	if a := wait(t, r.post(t, "ada", `{"jsonrpc":"2.0","id":9,"method":"ping"}`, session)); a.status != http.StatusNotFound {
		t.Errorf("%+v", a)
	}
}

func TestASessionEndsWithItsLogin(t *testing.T) {
	t.Parallel()
	r, child, session := legacyScript(t, func(o *Options) { o.Times = Times{Recheck: 10 * time.Millisecond} })
	get := make(chan *answer, 1)
	go func() { get <- r.request(t, "GET", "/mcp/x/mcp", "ada", "", session) }()
	r.mu.Lock()
	r.ended["ada"] = true
	r.mu.Unlock()
	<-child.gone
	wait(t, get)
	if a := wait(t, r.post(t, "ada", `{"jsonrpc":"2.0","id":9,"method":"ping"}`, session)); a.status != http.StatusUnauthorized {
		t.Errorf("%+v", a)
	}
}

func TestSessionsAreCapped(t *testing.T) {
	t.Parallel()
	r := newEverything(t, func(o *Options) { o.Limits.Sessions = 2 })
	first := "Mcp-Session-Id: " + r.open(t, everythingPath, "ada")
	second := "Mcp-Session-Id: " + r.open(t, everythingPath, "ada")
	r.open(t, everythingPath, "bob")
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	if a := r.request(t, "POST", everythingPath, "ada", ping, first); a.status != 200 {
		t.Errorf("%+v", a)
	}
	third := "Mcp-Session-Id: " + r.open(t, everythingPath, "ada") // the second one is idle longest
	for session, status := range map[string]int{first: 200, second: 404, third: 200} {
		if a := r.request(t, "POST", everythingPath, "ada", ping, session); a.status != status {
			t.Errorf("%+v, want %d", a, status)
		}
	}
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}`

// modernScript is a rig with a scripted child that knows the modern era.
func modernScript(t *testing.T) (*rig, *scripted) {
	t.Helper()
	child := newScripted()
	r := newRig(t, map[string]func() (Child, error){"x": func() (Child, error) { return child, nil }})
	return r, child
}

func modernHeaders(method string, more ...string) []string {
	return append([]string{"Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: " + method}, more...)
}

// Two users' calls on one child have the same id and token, and each gets its own.
func TestModernCallsAreKeptApart(t *testing.T) {
	t.Parallel()
	r, child := modernScript(t)
	body := func(user string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"` + user + `",` + modernMeta + `,"progressToken":"same"}}}`
	}
	calls := map[string]<-chan *answer{}
	for _, user := range []string{"ada", "bob"} {
		calls[user] = r.post(t, user, body(user), modernHeaders("prompts/get", "Mcp-Name: "+user)...)
	}
	for range 2 {
		m := child.next(t, "prompts/get")
		user, token := text(get(m.params, "name")), get(m.params, "_meta", "progressToken")
		child.say <- fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%s,"progress":1,"message":%q}}`, token, user)
		child.reply(m, fmt.Sprintf(`"result":{"for":%q}`, user))
	}
	for user, other := range map[string]string{"ada": "bob", "bob": "ada"} {
		a := wait(t, calls[user])
		if !strings.Contains(a.body, `"progressToken":"same"`) || !strings.Contains(a.body, `"message":"`+user) || !strings.Contains(a.body, `"id":1,"result":{"for":"`+user) || strings.Contains(a.body, other) {
			t.Errorf("%s got %+v", user, a)
		}
	}
}

func TestAModernRequestThatIsClosed(t *testing.T) {
	t.Parallel()
	r, child := modernScript(t)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", r.url+"/mcp/x/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":4,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},`+modernMeta+`}}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Authorization": {"Bearer ada"}, versionHeader: {version202607}, methodHeader: {methodListen}}
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
	m := child.next(t, methodListen)
	child.say <- fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`, m.id)
	if line := <-lines; !strings.Contains(line, `"io.modelcontextprotocol/subscriptionId":4}`) {
		t.Errorf("the client got %s", line)
	}
	cancel()
	<-done
	if c := child.next(t, "notifications/cancelled"); string(get(c.params, "requestId")) != string(m.id) {
		t.Errorf("%s", c.raw)
	}
}

func TestModernErrorsHaveAStatus(t *testing.T) {
	t.Parallel()
	r, child := modernScript(t)
	for code, status := range map[int]int{codeMethodNotFound: 404, codeInvalidParams: 400, codeUnsupportedVersion: 400, codeMissingCapability: 400, -32603: 200, -5: 200} {
		a := r.post(t, "ada", `{"jsonrpc":"2.0","id":1,"method":"x/y","params":{`+modernMeta+`}}}`, modernHeaders("x/y")...)
		child.reply(child.next(t, "x/y"), fmt.Sprintf(`"error":{"code":%d,"message":"no","data":{"why":1}}`, code))
		if got := wait(t, a); got.status != status || got.errorCode(t) != code || !strings.Contains(got.body, `"data":{"why":1}`) {
			t.Errorf("%d: %+v", code, got)
		}
	}
	for name, c := range map[string]struct {
		headers []string
		code    int
	}{
		"no method":        {[]string{"Mcp-Protocol-Version: 2026-07-28"}, codeHeaderMismatch},
		"another method":   {modernHeaders("x/z"), codeHeaderMismatch},
		"another revision": {[]string{"Mcp-Protocol-Version: 2027-01-01", "Mcp-Method: x/y"}, codeHeaderMismatch},
	} {
		a := wait(t, r.post(t, "ada", `{"jsonrpc":"2.0","id":1,"method":"x/y","params":{`+modernMeta+`}}}`, c.headers...))
		if a.status != 400 || a.errorCode(t) != c.code {
			t.Errorf("%s: %+v", name, a)
		}
	}
}
