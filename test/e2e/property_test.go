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

// roles are the callers of the requests.
var roles = []string{"admin", "admin", "admin", "owner", "owner", "owner", "other", "viewer", anonymous, forged}

// requestsPerCheck is the number of requests in a check of rapid. 100 checks are 2,000 requests.
const requestsPerCheck = 20

// Every reply to a random request is one that the OpenAPI document describes, and none is a 500.
func TestEveryReplyIsDocumented(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	// 100 checks, or 2,000 requests, reach every operation.
	checks := testenv.Rounds(10, 100)
	if err := flag.Set("rapid.checks", itoa(checks)); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		for made, drawn := 0, 0; made < requestsPerCheck && drawn < 3*requestsPerCheck; drawn++ {
			d := e.draw(t)
			if !e.may(d.operation) {
				continue
			}
			made++
			got, err := e.send(d)
			if err != nil {
				t.Fatalf("the request failed: %v\n\n%s", err, d)
			}
			request := d.method + " " + d.route.Path
			e.statuses[request] = append(e.statuses[request], got.status)
			if err := e.check(d, got); err != nil {
				t.Fatalf("%v\n\n%s\n\nHTTP %d\n%v\n%s", err, d, got.status, got.header, got.body[:min(len(got.body), 4000)])
			}
			e.learn(d, got)
			e.signInAgain(d.caller, got.status)
		}
	})
	if checks == 100 {
		e.wantAllCalled()
	}
	for line := range strings.Lines(e.server.stderr.String()) {
		if strings.Contains(line, "panic") || strings.Contains(line, "INTERNAL") || strings.Contains(line, "status=500") {
			t.Error(line)
		}
	}
}

// env is a server with objects of several users.
type env struct {
	t          *testing.T
	server     *server
	doc        *openapi3.T
	failure    *openapi3.SchemaRef
	operations []operation
	// root is an admin that no random request uses or changes.
	root   *client
	rootID string
	users  map[string]*user
	http   *http.Client
	// ids are known values of path parameters, by name.
	ids map[string][]string
	// seen are the ids that a role has received in replies and that were not deleted, by role and name.
	seen map[string]map[string][]string
	// deleted are ids of deleted objects.
	deleted []string
	// versions are known ETags, and refreshTokens those of all sign-ins.
	versions, refreshTokens []string
	mcpURL                  string
	// done counts operations, and statuses has the status of every reply, by operation.
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
	// The random requests of admins may have any command, which must not run.
	s.env = append(s.env, "AGENTAREA_MCP_COMMANDS=false", "AGENTAREA_RATE_LIMIT_PER_MINUTE=0",
		"AGENTAREA_RATE_LIMIT_BURST=0")
	s.start()
	e := &env{
		t: t, server: s, root: s.signIn(), users: map[string]*user{}, ids: map[string][]string{},
		seen: map[string]map[string][]string{}, done: map[string]int{}, statuses: map[string][]int{},
	}
	e.rootID = decode[struct{ ID string }](t, e.root.get("/v1/auth/me").want(t, 200)).ID
	e.doc, e.operations = s.document()
	e.failure = componentSchema(t, e.doc, "Error")
	e.http = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{},
	}
	t.Cleanup(e.http.CloseIdleConnections)
	tools := mcp.NewServer(&mcp.Implementation{Name: "adder", Version: "1"}, nil)
	mcp.AddTool(tools, &mcp.Tool{Name: "add"},
		func(context.Context, *mcp.CallToolRequest, struct{ A, B int }) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "3"}}}, nil, nil
		})
	served := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return tools }, nil))
	t.Cleanup(func() {
		served.CloseClientConnections()
		served.Close()
	})
	e.mcpURL = served.URL
	for _, role := range []string{"admin", "owner", "other", "viewer"} {
		e.newUser(role)
	}
	e.createObjects()
	return e
}

// newUser creates the user of a role. It is called again when that user cannot sign in any more.
func (e *env) newUser(role string) {
	e.t.Helper()
	u := &user{name: fmt.Sprintf("%s-%d", role, len(e.ids["user_id"])), password: "a long password"}
	as := map[string]string{"admin": "admin", "viewer": "viewer"}[role]
	if as == "" {
		as = "member"
	}
	made := e.root.post("/v1/users/",
		object{"username": u.name, "email": u.name + "@example.com", "password": u.password, "role": as}).want(e.t, 201)
	e.ids["user_id"] = append(e.ids["user_id"], decode[struct{ ID string }](e.t, made).ID)
	e.users[role] = u
	if !e.signIn(u) {
		e.t.Fatalf("%s cannot sign in", u.name)
	}
}

// signIn signs a user in. It uses several addresses, because sign-ins are limited by address.
func (e *env) signIn(u *user) bool {
	e.t.Helper()
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+e.done["sign-ins"]/10))}
	e.done["sign-ins"]++
	own := &http.Client{
		Transport: &http.Transport{DialContext: (&net.Dialer{LocalAddr: from}).DialContext, DisableKeepAlives: true},
	}
	body, err := json.Marshal(object{"username": u.name, "password": u.password})
	if err != nil {
		e.t.Fatal(err)
	}
	resp, err := own.Post(e.server.url+"/v1/auth/login", "application/json", bytes.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	var got tokens
	if resp.StatusCode != 200 || json.NewDecoder(resp.Body).Decode(&got) != nil {
		return false
	}
	u.token = got.AccessToken
	e.refreshTokens = append(e.refreshTokens, got.RefreshToken)
	return true
}

// createObjects creates an object of each kind for each user.
func (e *env) createObjects() {
	e.t.Helper()
	for _, role := range []string{"owner", "admin", "other"} {
		c := &client{t: e.t, url: e.server.url, token: e.users[role].token}
		agent := c.newAgent("echo")
		e.ids["agent_id"] = append(e.ids["agent_id"], agent)
		turn := c.chat(agent, "s-"+role, "Hello")
		e.ids["session_id"] = append(e.ids["session_id"], "s-"+role)
		e.ids["run_id"] = append(e.ids["run_id"], turn.Metadata.RunID)
		id := func(r *reply) string { return decode[struct{ ID string }](e.t, r.want(e.t, 201)).ID }
		e.ids["task_id"] = append(e.ids["task_id"], id(c.post("/v1/tasks/", object{"title": "Greet", "agent_id": agent})))
		e.ids["server_id"] = append(e.ids["server_id"],
			id(c.post("/v1/mcp-servers/", object{"name": role, "config": object{"url": e.mcpURL}})))
	}
}

// signInAgain signs a user in if the status means that their login has ended.
func (e *env) signInAgain(caller string, status int) {
	u := e.users[caller]
	if u == nil || status != http.StatusUnauthorized {
		return
	}
	if !e.signIn(u) {
		e.newUser(caller)
	}
}

// bounds are the maximum numbers of calls of operations that are slow or have a limit.
var bounds = map[string]int{"reload-plugins": 12, "login": 60, "logout": 12, "end-sessions": 6, "end-user-sessions": 6}

// may reports whether another call of an operation is allowed by bounds, and counts it.
func (e *env) may(op operation) bool {
	maximum, bounded := bounds[op.id]
	e.done[op.id]++
	return !bounded || e.done[op.id] <= maximum
}

// words returns plausible values of a field or parameter.
func (e *env) words(op operation, name string) []any {
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
			return []any{
				object{"url": e.mcpURL},
				object{"command": "false"},
				object{"url": e.mcpURL, "headers": object{"A": "b"}},
				object{"command": "env", "env": object{"K": "***"}},
			}
		}
		return []any{
			object{"model": "echo"},
			object{"model": "echo", "temperature": 0.5, "system_prompt": "Be brief"},
			object{"model": "echo", "max_steps": 0},
		}
	case "message", "title":
		return list([]string{"Hello", "Tell me of rain"})
	case "username":
		return list([]string{"passer", "nobody", "ann@example.com"})
	case "password":
		return list([]string{"a long password", "short"})
	case "refresh_token":
		return list(e.refreshTokens)
	case "If-Match", "If-None-Match":
		return list(append(e.versions, "*"))
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
		return []any{[]any{}, list(e.ids["file_id"][:min(1, len(e.ids["file_id"]))])}
	case "dry_run":
		return []any{true}
	}
	if ids := e.ids[name]; len(ids) > 0 {
		return list(ids)
	}
	return nil
}

// bodies returns valid bodies of an operation.
func (e *env) bodies(op operation) []any {
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
		return []any{object{"title": "Greet", "agent_id": e.ids["agent_id"][0]}}
	default:
		return nil
	}
}

// streamTime is the time for which a stream of events is read.
const streamTime = 250 * time.Millisecond

// send sends a request and reads its reply.
func (e *env) send(d drawn) (*reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, d.method, e.server.url+d.target, bytes.NewReader(d.body))
	if err != nil {
		return nil, err
	}
	req.Header = d.header.Clone()
	if d.body == nil {
		req.Body, req.ContentLength = nil, 0
	}
	switch u := e.users[d.caller]; {
	case u != nil:
		req.Header.Set("Authorization", "Bearer "+u.token)
	case d.caller == forged:
		req.Header.Set("Authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.")
	}
	resp, err := e.http.Do(req)
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

// learn records the ids in a reply for later requests.
func (e *env) learn(d drawn, r *reply) {
	if tag := r.header.Get("ETag"); tag != "" {
		e.versions = keep(e.versions, tag)
	}
	if e.seen[d.caller] == nil {
		e.seen[d.caller] = map[string][]string{}
	}
	if r.status == http.StatusNotFound || d.method == http.MethodDelete && r.status == http.StatusNoContent {
		for name, id := range d.pathValues {
			other := func(s string) bool { return s == id }
			e.seen[d.caller][name] = slices.DeleteFunc(e.seen[d.caller][name], other)
			if r.status == http.StatusNoContent && len(e.ids[name]) > 1 {
				e.ids[name] = slices.DeleteFunc(e.ids[name], other)
				e.deleted = keep(e.deleted, id)
			}
		}
	}
	var v any
	if r.status >= 300 || json.Unmarshal(r.body, &v) != nil {
		return
	}
	e.collect(v, d.caller, e.itemOf(d.operation))
}

// itemOf returns the path parameter that takes the field id of an operation's reply.
func (e *env) itemOf(op operation) string {
	for _, o := range e.operations {
		if o.collection != "" && o.collection == strings.TrimSuffix(op.route.Path, "/") {
			return o.item
		}
	}
	return op.item
}

// collect records all ids in a JSON value.
func (e *env) collect(v any, caller, item string) {
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			e.collect(element, caller, item)
		}
	case map[string]any:
		for name, field := range v {
			id, ok := field.(string)
			switch {
			case !ok:
				e.collect(field, caller, item)
			case name == "id" && item != "" && id != e.rootID:
				e.ids[item] = keep(e.ids[item], id)
				e.seen[caller][item] = keep(e.seen[caller][item], id)
			case strings.HasSuffix(name, "_id") && name != "request_id" && id != "" && id != e.rootID:
				e.ids[name] = keep(e.ids[name], id)
				e.seen[caller][name] = keep(e.seen[caller][name], id)
			}
		}
	}
}

// keep adds a text to a list of the latest ones.
func keep(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list[max(0, len(list)-20):], s)
}

// wantAllCalled checks that every operation was called and that enough requests succeeded.
func (e *env) wantAllCalled() {
	e.t.Helper()
	total, granted := 0, 0
	for _, all := range e.statuses {
		total += len(all)
	}
	for _, op := range e.operations {
		request := e.statuses[op.String()]
		if len(request) == 0 {
			e.t.Errorf("%s was never called", op)
		}
		counts := map[int]int{}
		for _, s := range request {
			counts[s]++
			if s < 300 {
				granted++
			}
		}
		var b strings.Builder
		for _, s := range slices.Sorted(maps.Keys(counts)) {
			b.WriteString(" " + strconv.Itoa(s) + "×" + strconv.Itoa(counts[s]))
		}
		e.t.Logf("%s:%s", op, b.String())
	}
	e.t.Logf("%d requests, %d succeeded", total, granted)
	if total < 2000 || granted < total/10 {
		e.t.Errorf("%d of %d requests succeeded, want at least 10%% of 2000", granted, total)
	}
}
