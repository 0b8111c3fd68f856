package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"pgregory.net/rapid"

	"github.com/agentarea/agentarea/test/testenv"
)

const (
	anonymous = "anonymous"
	forged    = "forged"
)

// roles are who makes requests.
var roles = []string{"admin", "admin", "admin", "owner", "owner", "owner", "other", "viewer", anonymous, forged}

// perLife is how many requests a check of rapid's makes: its 100 checks are 2,000 cases.
const requestsPerCheck = 20

// Whatever is asked by whomever, the answer is one that the document tells of, and none is a 500.
func TestEveryReplyIsDocumented(t *testing.T) {
	t.Parallel()
	w := newEnv(t)
	// 100 checks, or 2,000 requests, reach every operation.
	checks := testenv.Rounds(10, 100)
	if err := flag.Set("rapid.checks", itoa(checks)); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		for made, drawn := 0, 0; made < requestsPerCheck && drawn < 3*requestsPerCheck; drawn++ {
			d := w.draw(t)
			if !w.may(d.operation) {
				continue
			}
			made++
			got, err := w.send(d)
			if err != nil {
				t.Fatalf("no reply: %v\n\n%s", err, d)
			}
			asked := d.method + " " + d.route.Path
			w.statuses[asked] = append(w.statuses[asked], got.status)
			if err := w.check(d, got); err != nil {
				t.Fatalf("%v\n\n%s\n\nHTTP %d\n%v\n%s", err, d, got.status, got.header, got.body[:min(len(got.body), 4000)])
			}
			w.learn(d, got)
			w.signInAgain(d.who, got.status)
		}
	})
	if checks == 100 {
		w.wantAllAsked()
	}
	for line := range strings.Lines(w.server.stderr.String()) {
		if strings.Contains(line, "panic") || strings.Contains(line, "INTERNAL") || strings.Contains(line, "status=500") {
			t.Error(line)
		}
	}
}

// world is a server with things of several users in it.
type env struct {
	t          *testing.T
	server     *server
	doc        *openapi3.T
	failure    *openapi3.SchemaRef
	operations []operation
	// keeper is an admin whom no request touches.
	root   *client
	rootID string
	users  map[string]*user
	http   *http.Client
	// ids are what path parameters may name, by their names.
	ids map[string][]string
	// seen are those of ids that a role was shown, and that are still there.
	seen map[string]map[string][]string
	// gone are ids of what was deleted.
	gone []string
	// versions are ETags, and refreshTokens what sign-ins gave.
	versions, refreshTokens []string
	mcpURL                  string
	// done counts operations that are bounded, and statuses has all that was answered.
	done     map[string]int
	statuses map[string][]int
}

type user struct{ name, password, token string }

const openPlugins = `
plugin "llm" "echo" {
  command = "llm-echo"
  models  = ["echo"]
}
plugin "agent" "chat" {
  command = "agent-chat"
}
plugin "files" "local" {
  command = "files-local"
}
plugin "mcp" "stdio" {
  command = "mcp-stdio"
}
plugin "mcp" "http" {
  command = "mcp-http"
  config {
    allow = ["127.0.0.1"]
  }
}
`

func newEnv(t *testing.T) *env {
	t.Helper()
	s := newServer(t, openPlugins)
	// Admins may name any command, and these requests name all sorts.
	s.env = append(s.env, "AGENTAREA_MCP_COMMANDS=false", "AGENTAREA_RATE_LIMIT_PER_MINUTE=0", "AGENTAREA_RATE_LIMIT_BURST=0")
	s.start()
	w := &env{
		t: t, server: s, root: s.signIn(), users: map[string]*user{}, ids: map[string][]string{}, seen: map[string]map[string][]string{}, done: map[string]int{}, statuses: map[string][]int{},
	}
	w.rootID = decode[struct{ ID string }](t, w.root.get("/v1/auth/me").want(t, 200)).ID
	w.doc, w.operations = s.document()
	w.failure = componentSchema(t, w.doc, "Error")
	w.http = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{},
	}
	t.Cleanup(w.http.CloseIdleConnections)
	tools := mcp.NewServer(&mcp.Implementation{Name: "adder", Version: "1"}, nil)
	mcp.AddTool(tools, &mcp.Tool{Name: "add"}, func(context.Context, *mcp.CallToolRequest, struct{ A, B int }) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "3"}}}, nil, nil
	})
	served := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return tools }, nil))
	t.Cleanup(func() {
		served.CloseClientConnections()
		served.Close()
	})
	w.mcpURL = served.URL
	for _, role := range []string{"admin", "owner", "other", "viewer"} {
		w.newUser(role)
	}
	w.createObjects()
	return w
}

// newUser makes the user of a role, or another when the last can't sign in any more.
func (w *env) newUser(role string) {
	w.t.Helper()
	u := &user{name: fmt.Sprintf("%s-%d", role, len(w.ids["user_id"])), password: "a long password"}
	as := map[string]string{"admin": "admin", "viewer": "viewer"}[role]
	if as == "" {
		as = "member"
	}
	made := w.root.post("/v1/users/", object{"username": u.name, "email": u.name + "@example.com", "password": u.password, "role": as}).want(w.t, 201)
	w.ids["user_id"] = append(w.ids["user_id"], decode[struct{ ID string }](w.t, made).ID)
	w.users[role] = u
	if !w.signIn(u) {
		w.t.Fatalf("%s can't sign in", u.name)
	}
}

// signIn comes from an address of its own, for sign-ins are limited by address.
func (w *env) signIn(u *user) bool {
	w.t.Helper()
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+w.done["sign-ins"]/10))}
	w.done["sign-ins"]++
	own := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{LocalAddr: from}).DialContext, DisableKeepAlives: true}}
	body, err := json.Marshal(object{"username": u.name, "password": u.password})
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := own.Post(w.server.url+"/v1/auth/login", "application/json", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var got tokens
	if resp.StatusCode != 200 || json.NewDecoder(resp.Body).Decode(&got) != nil {
		return false
	}
	u.token = got.AccessToken
	w.refreshTokens = append(w.refreshTokens, got.RefreshToken)
	return true
}

// furnish gives the users something of each kind.
func (w *env) createObjects() {
	w.t.Helper()
	for _, role := range []string{"owner", "admin", "other"} {
		c := &client{t: w.t, url: w.server.url, token: w.users[role].token}
		agent := c.newAgent("echo")
		w.ids["agent_id"] = append(w.ids["agent_id"], agent)
		turn := c.chat(agent, "s-"+role, "Hello")
		w.ids["session_id"] = append(w.ids["session_id"], "s-"+role)
		w.ids["run_id"] = append(w.ids["run_id"], turn.Metadata.RunID)
		id := func(r *reply) string { return decode[struct{ ID string }](w.t, r.want(w.t, 201)).ID }
		w.ids["task_id"] = append(w.ids["task_id"], id(c.post("/v1/tasks/", object{"title": "Greet", "agent_id": agent})))
		w.ids["server_id"] = append(w.ids["server_id"], id(c.post("/v1/mcp-servers/", object{"name": role, "config": object{"url": w.mcpURL}})))
	}
}

// revive signs a user in whose login has ended.
func (w *env) signInAgain(who string, status int) {
	u := w.users[who]
	if u == nil || status != http.StatusUnauthorized {
		return
	}
	if !w.signIn(u) {
		w.newUser(who)
	}
}

// bounds are how often an operation may be tried that costs much time, or is
// limited by itself.
var bounds = map[string]int{"reload-plugins": 12, "login": 60, "logout": 12}

func (w *env) may(op operation) bool {
	most, bounded := bounds[op.id]
	w.done[op.id]++
	return !bounded || w.done[op.id] <= most
}

// words are what stands to reason in a field or parameter.
func (w *env) words(op operation, name string) []any {
	list := func(texts []string) []any {
		out := make([]any, len(texts))
		for i, s := range texts {
			out[i] = s
		}
		return out
	}
	switch name {
	case "model":
		return list([]string{"echo", "echo/echo", "gpt-99"})
	case "type":
		return list([]string{"chat"})
	case "config":
		if strings.Contains(op.route.Path, "mcp-servers") {
			return []any{object{"url": w.mcpURL}, object{"command": "false"}, object{"url": w.mcpURL, "headers": object{"A": "b"}}, object{"command": "env", "env": object{"K": "***"}}}
		}
		return []any{object{"model": "echo"}, object{"model": "echo", "temperature": 0.5, "system_prompt": "Be brief"}, object{"model": "echo", "max_steps": 0}}
	case "message", "title":
		return list([]string{"Hello", "Tell me of rain"})
	case "username":
		return list([]string{"passer", "nobody", "ann@example.com"})
	case "password":
		return list([]string{"a long password", "short"})
	case "refresh_token":
		return list(w.refreshTokens)
	case "If-Match", "If-None-Match":
		return list(append(w.versions, "*"))
	case "Range":
		return list([]string{"bytes=0-3", "bytes=-2", "bytes=0-0,2-2", "bytes=99999-"})
	case "from", "to":
		if strings.Contains(op.route.Path, "move") {
			return list([]string{"local", "s3"})
		}
	case "by":
		return list([]string{"day", "agent", "model", "user", "day,agent", "day,day"})
	case "Last-Event-ID":
		return list([]string{"0", "1", "7", "99999999"})
	case "transport":
		return list([]string{"http", "stdio", "sse"})
	case "timeout_seconds":
		return []any{30}
	case "file_ids":
		return []any{[]any{}, list(w.ids["file_id"][:min(1, len(w.ids["file_id"]))])}
	case "dry_run":
		return []any{true}
	}
	if ids := w.ids[name]; len(ids) > 0 {
		return list(ids)
	}
	return nil
}

// bodies are whole bodies that are right.
func (w *env) bodies(op operation) []any {
	switch op.id {
	case "login":
		return []any{object{"username": "passer", "password": "a long password"}}
	case "create-user":
		return []any{object{"username": "passer", "email": "p@example.com", "password": "a long password"}}
	case "create-agent":
		return []any{object{"name": "one more", "type": "chat", "config": object{"model": "echo"}}}
	case "chat":
		return []any{object{"message": "Hello", "stream": true}, object{"message": "Hello"}}
	case "create-task":
		return []any{object{"title": "Greet", "agent_id": w.ids["agent_id"][0]}}
	default:
		return nil
	}
}

// streamTime is how long events are listened to.
const streamTime = 250 * time.Millisecond

func (w *env) send(d drawn) (*reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, d.method, w.server.url+d.target, bytes.NewReader(d.body))
	if err != nil {
		return nil, err
	}
	req.Header = d.header.Clone()
	if d.body == nil {
		req.Body, req.ContentLength = nil, 0
	}
	switch u := w.users[d.who]; {
	case u != nil:
		req.Header.Set("Authorization", "Bearer "+u.token)
	case d.who == forged:
		req.Header.Set("Authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.")
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	stream := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")
	if stream {
		defer time.AfterFunc(streamTime, cancel).Stop()
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil && (!stream || !errors.Is(err, context.Canceled)) {
		return nil, err
	}
	return &reply{resp.StatusCode, resp.Header, body}, nil
}

// learn keeps the ids that a reply tells of for later requests.
func (w *env) learn(d drawn, r *reply) {
	if tag := r.header.Get("ETag"); tag != "" {
		w.versions = keep(w.versions, tag)
	}
	if w.seen[d.who] == nil {
		w.seen[d.who] = map[string][]string{}
	}
	if r.status == http.StatusNotFound || d.method == http.MethodDelete && r.status == http.StatusNoContent {
		for name, id := range d.pathValues {
			other := func(s string) bool { return s == id }
			w.seen[d.who][name] = slices.DeleteFunc(w.seen[d.who][name], other)
			if r.status == http.StatusNoContent && len(w.ids[name]) > 1 {
				w.ids[name] = slices.DeleteFunc(w.ids[name], other)
				w.gone = keep(w.gone, id)
			}
		}
	}
	var v any
	if r.status >= 300 || json.Unmarshal(r.body, &v) != nil {
		return
	}
	w.collect(v, d.who, w.itemOf(d.operation))
}

// itemOf is the parameter that names what an operation's reply has as id.
func (w *env) itemOf(op operation) string {
	for _, o := range w.operations {
		if o.collection != "" && o.collection == strings.TrimSuffix(op.route.Path, "/") {
			return o.item
		}
	}
	return op.item
}

func (w *env) collect(v any, who, item string) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			w.collect(e, who, item)
		}
	case map[string]any:
		for name, e := range v {
			id, ok := e.(string)
			switch {
			case !ok:
				w.collect(e, who, item)
			case name == "id" && item != "" && id != w.rootID:
				w.ids[item] = keep(w.ids[item], id)
				w.seen[who][item] = keep(w.seen[who][item], id)
			case strings.HasSuffix(name, "_id") && name != "request_id" && id != "" && id != w.rootID:
				w.ids[name] = keep(w.ids[name], id)
				w.seen[who][name] = keep(w.seen[who][name], id)
			}
		}
	}
}

// keep adds a text to the last few.
func keep(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list[max(0, len(list)-20):], s)
}

// wantAllAsked wants every operation to have been asked, and most to have been granted.
func (w *env) wantAllAsked() {
	w.t.Helper()
	total, granted := 0, 0
	for _, all := range w.statuses {
		total += len(all)
	}
	for _, op := range w.operations {
		asked := w.statuses[op.String()]
		if len(asked) == 0 {
			w.t.Errorf("%s was never asked", op)
		}
		counts := map[int]int{}
		for _, s := range asked {
			counts[s]++
			if s < 300 {
				granted++
			}
		}
		var b strings.Builder
		for _, s := range slices.Sorted(maps.Keys(counts)) {
			b.WriteString(" " + strconv.Itoa(s) + "×" + strconv.Itoa(counts[s]))
		}
		w.t.Logf("%s:%s", op, b.String())
	}
	w.t.Logf("%d requests, %d granted", total, granted)
	if total < 2000 || granted < total/10 {
		w.t.Errorf("of %d requests %d were granted: they are not what users send", total, granted)
	}
}
