package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Sizes of the objects of a hostile member. A JSON body has at most 1 MiB, and a system_prompt 200,000 characters, of
// which each can have 4 bytes.
const (
	hostileMessage  = 1_000_000
	hostilePrompt   = 200_000
	hostileAgents   = 100
	hostileServers  = 30
	hostileToolList = 15_000_000
)

// hostileMember is a member with large objects, who attacks the server.
type hostileMember struct {
	*client
	http *http.Client
	// agent answers what it is told. Its session "full" has 100 messages of 1 MB.
	agent string
	// run has answered with 1 MB.
	run     string
	servers []string
	bodies  []string

	mu sync.Mutex
	// replies counts the replies by their status, and what else happened by a word.
	replies map[string]int
}

// newHostile signs the member in and creates the objects that the attacks use.
func newHostile(t *testing.T, s *server, tools string) *hostileMember {
	t.Helper()
	h := &hostileMember{
		client: s.newUser(s.signIn(), "mallory", "member"), bodies: hostileBodies(), replies: map[string]int{},
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}},
	}
	h.agent = h.newAgent("echo")
	prompt := strings.Repeat("\U0001F608", hostilePrompt)
	for range hostileAgents {
		h.post("/v1/agents/", object{
			"name": "large", "type": "chat", "config": object{"model": "echo", "system_prompt": prompt},
		}).want(t, 201)
	}
	for i := range hostileServers {
		made := h.newMCPServer(fmt.Sprint("tools-", i), object{"url": tools})
		h.servers = append(h.servers, made.ID)
	}
	for range 50 {
		h.run = h.chat(h.agent, "full", largeMessage).Metadata.RunID
	}
	return h
}

var largeMessage = strings.Repeat("a", hostileMessage)

// hostileBodies returns JSON texts that cost more to read than others of their size.
func hostileBodies() []string {
	repeat := func(part string, size int) string { return strings.Repeat(part, size/len(part)) }
	const size = 1_000_000
	var names strings.Builder
	for i := range size / 16 {
		fmt.Fprintf(&names, `"name%06d":1,`, i)
	}
	config := func(config string) string { return `{"name":"x","type":"chat","config":` + config + `}` }
	return []string{
		config(`{"model":"echo","stop":[` + repeat(`"a",`, size) + `"b"]}`),
		config(`{"model":"echo","stop":[` + repeat(`1,`, 18_000) + `1]}`),
		config(`{"model":"echo","tools":[` + repeat(`"`+strings.Repeat("a", 100)+`",`, size) + `"b"]}`),
		config(`{"model":"echo",` + names.String() + `"x":1}`),
		config(`{"model":"echo","temperature":1` + repeat("0", size) + `}`),
		config(`{"model":"echo","temperature":[` + repeat("1e999999999,", 200_000) + `1]}`),
		`{"name":"x","type":"chat",` + names.String() + `"x":1}`,
		`{"name":` + strings.Repeat("[", size/2) + strings.Repeat("]", size/2) + `}`,
		`{"name":"` + repeat(`\u00e9`, size) + `","type":"chat"}`,
		`{"name":"` + repeat(`a\u0000`, size) + `","type":"chat"}`,
		`[` + repeat(`{},`, size) + `{}]`,
		`{"name":"x","type":"` + repeat("x", size) + `"}`,
		repeat(" ", size) + `{"name":"x"`,
	}
}

// toolServer starts an MCP server with a tool list of 15 MB, and returns its URL.
func toolServer(t *testing.T) string {
	t.Helper()
	list := fmt.Sprintf(`{"tools":[{"name":"large","description":%q,"inputSchema":{"type":"object"}}]}`,
		strings.Repeat("a", hostileToolList))
	const initialized = `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},` +
		`"serverInfo":{"name":"large","version":"1"}}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			ID     json.RawMessage
			Method string
		}
		if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&request) != nil {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		result, ok := map[string]string{"initialize": initialized, "tools/list": list, "ping": "{}"}[request.Method]
		switch {
		case request.ID == nil:
			w.WriteHeader(http.StatusAccepted)
		case !ok:
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"unknown method"}}`, request.ID)
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, request.ID, result)
		}
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

// attack is a request, or a few, that clients of the hostile member repeat at the same time.
type attack struct {
	name    string
	clients int
	// once makes the requests. Clients have numbers from 0, and count their rounds.
	once func(ctx context.Context, h *hostileMember, client, round int)
}

// attacks has everything that the hostile member does.
var attacks = []attack{
	{"large messages", 3, func(ctx context.Context, h *hostileMember, client, round int) {
		// Client 0 talks in the session with 100 messages, the others start their own.
		session := "full"
		if client > 0 {
			session = fmt.Sprint("large-", client)
		}
		if round%2 == 0 {
			h.send(ctx, "POST", "/v1/agents/"+h.agent+"/chat", `{"message":"`+largeMessage+`","session_id":"`+session+`"}`)
			return
		}
		h.send(ctx, "GET", "/v1/agents/"+h.agent+"/chat/history?limit=100&session_id="+session, "")
	}},
	{"lists of large agents", 6, func(ctx context.Context, h *hostileMember, _, _ int) {
		h.send(ctx, "GET", "/v1/agents/?limit=100", "")
	}},
	{"other lists", 4, func(ctx context.Context, h *hostileMember, client, _ int) {
		paths := []string{
			"/v1/agents/?status=active&limit=100", "/v1/tasks/?limit=100", "/v1/mcp-servers/?limit=100",
			"/v1/tasks/?status=completed",
		}
		h.send(ctx, "GET", paths[client], "")
	}},
	{"replies that are not read", 100, func(ctx context.Context, h *hostileMember, client, _ int) {
		paths := []string{
			"/v1/agents/?limit=100", "/v1/agents/" + h.agent + "/chat/history?session_id=full", "/v1/runs/" + h.run + "/events",
			"/v1/runs/" + h.run + "/events",
		}
		h.ignoreReply(ctx, paths[client%len(paths)])
	}},
	{"MCP servers with large tool lists", 6, func(ctx context.Context, h *hostileMember, client, round int) {
		server := "/v1/mcp-servers/" + h.servers[(client+6*round)%len(h.servers)]
		h.send(ctx, "POST", server+"/restart", "")
		h.send(ctx, "GET", server+"/tools", "")
	}},
	{"hostile JSON", 6, func(ctx context.Context, h *hostileMember, client, round int) {
		paths := []string{"/v1/agents/", "/v1/tasks/", "/v1/mcp-servers/", "/v1/agents/" + h.agent + "/chat"}
		h.send(ctx, "POST", paths[(client+round/len(h.bodies))%len(paths)], h.bodies[round%len(h.bodies)])
	}},
	{"WebSocket frames", 10, func(ctx context.Context, h *hostileMember, _, _ int) { h.floodSocket(ctx) }},
	{"event streams", 110, func(ctx context.Context, h *hostileMember, client, _ int) {
		h.send(ctx, "POST", "/v1/agents/"+h.agent+"/chat",
			fmt.Sprintf(`{"message":"/tokens 30 /delay 100ms","session_id":"stream-%d","stream":true}`, client))
	}},
	{"tasks", 4, func(ctx context.Context, h *hostileMember, _, _ int) {
		h.send(ctx, "POST", "/v1/tasks/",
			`{"title":"/tokens 20 /delay 100ms","agent_id":"`+h.agent+`","data":{"x":"`+largeMessage[:100_000]+`"}}`)
	}},
}

// attack makes the attacks at the same time for a duration. It returns what the clients got.
func (h *hostileMember) attack(t *testing.T, d time.Duration, attacks ...attack) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	h.mu.Lock()
	h.replies = map[string]int{}
	h.mu.Unlock()
	var clients sync.WaitGroup
	for _, a := range attacks {
		for client := range a.clients {
			clients.Go(func() {
				for round := 0; ctx.Err() == nil; round++ {
					a.once(ctx, h, client, round)
				}
			})
		}
	}
	clients.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.replies)
}

// wantToolsRefused checks that the server has read the large tool lists and uses none of them.
func (h *hostileMember) wantToolsRefused(t *testing.T) {
	t.Helper()
	refused := 0
	for _, id := range h.servers {
		h.waitMCPServer(id, "the MCP server to run", running)
		f := h.get("/v1/mcp-servers/"+id+"/tools").want(t, 502).failure(t)
		if strings.Contains(f.Message, "tool list exceeds 1.0 MiB") {
			refused++
		}
	}
	if refused != len(h.servers) {
		t.Errorf("%d of %d tool lists of 15 MB are refused, want all", refused, len(h.servers))
	}
}

func (h *hostileMember) count(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.replies[what]++
}

// send sends a request and reads the whole reply. A client that was refused pauses for a moment, so that the clients
// do not use the CPUs that they share with the server.
func (h *hostileMember) send(ctx context.Context, method, path, body string) {
	req, err := http.NewRequestWithContext(ctx, method, h.url+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+h.token)
	r, err := h.http.Do(req)
	if err == nil {
		defer r.Body.Close()
		_, err = io.Copy(io.Discard, r.Body)
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		h.count("cut")
		pause(ctx)
	default:
		h.count(fmt.Sprint(r.StatusCode))
		if r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusServiceUnavailable {
			pause(ctx)
		}
	}
}

func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(20 * time.Millisecond):
	}
}

// ignoreReply sends a GET request on a connection of its own and reads nothing of the reply for two seconds.
func (h *hostileMember) ignoreReply(ctx context.Context, path string) {
	at, err := url.Parse(h.url)
	if err != nil {
		panic(err)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		h.count("cut")
		pause(ctx)
		return
	}
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10) // the rest of the reply stays in the server
	}
	_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", path, at.Host, h.token)
	h.count("not read")
	select {
	case <-ctx.Done():
	case <-time.After(2 * time.Second):
	}
}

// floodSocket opens a WebSocket and sends messages until the server closes it.
func (h *hostileMember) floodSocket(ctx context.Context) {
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(h.url, "http")+"/v1/ws", nil)
	if err != nil {
		h.count("no WebSocket")
		pause(ctx)
		return
	}
	defer func() { _ = conn.CloseNow() }()
	frames := [][]byte{
		[]byte(`{"type":"subscribe","channel":"tasks"}`),
		[]byte(`{"type":"subscribe","channel":"agent.` + h.agent + `.events","after":0}`),
		[]byte(`{"type":"unsubscribe","channel":"tasks"}`),
		[]byte(`{"type":"` + strings.Repeat("x", 60_000) + `"}`),
	}
	err = conn.Write(ctx, websocket.MessageText, []byte(`{"type":"auth","token":"`+h.token+`"}`))
	for i := 0; err == nil; i++ {
		err = conn.Write(ctx, websocket.MessageText, frames[i%len(frames)])
		h.count("frames")
	}
}

// victim is a member who works while the hostile member attacks.
type victim struct {
	*client
	http  *http.Client
	agent string
	// chats is the number of answered messages, and tasks are the created ones.
	chats int
	tasks []string
}

// victims measure their requests.
type victims struct {
	all []*victim

	mu sync.Mutex
	// times are the durations of the requests by their names.
	times map[string][]time.Duration
	// problems are the requests that failed.
	problems []string
}

func newVictims(s *server, n int) *victims {
	s.t.Helper()
	vs := &victims{}
	admin := s.signIn()
	for i := range n {
		v := &victim{
			client: s.newUser(admin, fmt.Sprint("victim-", i), "member"), http: &http.Client{Transport: &http.Transport{}},
		}
		v.agent = v.newAgent("echo")
		vs.all = append(vs.all, v)
	}
	return vs
}

// measured are the durations of the requests by their names, and what failed.
type measured struct {
	times    map[string][]time.Duration
	problems []string
}

// work lets each victim send a request per interval until attack returns. Each chats, lists and creates tasks by turns.
func (vs *victims) work(interval time.Duration, attack func()) measured {
	vs.times, vs.problems = map[string][]time.Duration{}, nil
	var stop atomic.Bool
	var done sync.WaitGroup
	for i, v := range vs.all {
		done.Go(func() {
			time.Sleep(interval * time.Duration(i) / time.Duration(len(vs.all)))
			for round := i; !stop.Load(); round++ {
				began := time.Now()
				vs.record(v.turn(round))
				time.Sleep(interval - time.Since(began))
			}
		})
	}
	attack()
	stop.Store(true)
	done.Wait()
	return measured{vs.times, vs.problems}
}

func (vs *victims) record(name string, took time.Duration, err error) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	vs.times[name] = append(vs.times[name], took)
	if err != nil {
		vs.problems = append(vs.problems, fmt.Sprintf("%s after %s: %v", name, took, err))
	}
}

// turn sends the next request.
func (v *victim) turn(round int) (name string, took time.Duration, err error) {
	began := time.Now()
	switch round % 4 {
	case 0:
		_, err = v.ask("POST", "/v1/agents/"+v.agent+"/chat", `{"message":"Good day","session_id":"s"}`, 200)
		if err == nil {
			v.chats++
		}
		return "chat", time.Since(began), err
	case 1:
		_, err = v.ask("GET", "/v1/agents/", "", 200)
		return "list of agents", time.Since(began), err
	case 2:
		body, err := v.ask("POST", "/v1/tasks/", `{"title":"Good day","agent_id":"`+v.agent+`"}`, 201)
		took := time.Since(began)
		var made task
		if err == nil {
			err = json.Unmarshal(body, &made)
			v.tasks = append(v.tasks, made.ID)
		}
		return "new task", took, err
	default:
		_, err = v.ask("GET", "/v1/tasks/", "", 200)
		return "list of tasks", time.Since(began), err
	}
}

// ask returns the body of a reply, and an error unless it has the status.
func (v *victim) ask(method, path, body string, status int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, v.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+v.token)
	r, err := v.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != status {
		err = fmt.Errorf("status %d: %s", r.StatusCode, data)
	}
	return data, err
}

// wantNothingLost checks that the victims have each message with its answer, and that each of their tasks ends.
func (vs *victims) wantNothingLost(t *testing.T) {
	t.Helper()
	for _, v := range vs.all {
		if got := len(v.history(v.agent, "s")); got != 2*v.chats {
			t.Errorf("%s has %d messages after %d chats, want %d", v.username, got, v.chats, 2*v.chats)
		}
		for _, id := range v.tasks {
			if got := v.waitTask(id); got.Status != "completed" {
				t.Errorf("%s has the task %+v, want completed", v.username, got)
			}
		}
	}
}

// p99 returns the 99th percentile of all requests.
func (m measured) p99() time.Duration {
	return percentile(slices.Concat(slices.Collect(maps.Values(m.times))...), 99)
}

// String returns the number of requests and their durations by name.
func (m measured) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m.times)) {
		d := m.times[name]
		fmt.Fprintf(&b, "%s: %d, p50 %s, p99 %s; ", name, len(d), percentile(d, 50), percentile(d, 99))
	}
	return b.String()
}

// percentile returns the pth percentile of the durations, rounded to milliseconds, or 0 if there are none.
func percentile(d []time.Duration, p int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	return sorted[min(len(sorted)-1, len(sorted)*p/100)].Round(time.Millisecond)
}
