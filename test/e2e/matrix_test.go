package e2e_test

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
)

// The matrix has, for every operation of the OpenAPI document, the actors who may call it. The test
// fails for an operation that is not in the matrix.

// actors are the callers. The owner creates the objects and the API keys.
var actors = []string{
	"anonymous", "other", "viewer", "owner", "admin", "key for all", "key to read", "key of another scope",
}

// A rule has the expected status for each actor, in the order of actors: 401, 403, 404, or 0 if the
// call is allowed. An allowed call may fail for another reason.
type rule [8]int

var (
	open    = rule{}
	self    = rule{401, 0, 0, 0, 0, 0, 0, 403}
	anyKey  = rule{401, 0, 0, 0, 0, 0, 0, 0}
	account = rule{401, 0, 0, 0, 0, 0, 403, 403}
	// create is for new objects, read and change for an object of the owner.
	create = rule{401, 0, 403, 0, 0, 0, 403, 403}
	read   = rule{401, 404, 404, 0, 0, 0, 0, 403}
	change = rule{401, 404, 403, 0, 0, 0, 403, 403}
	// own is for operations that need a key with all scopes.
	own   = rule{401, 404, 404, 0, 0, 0, 403, 403}
	admin = rule{401, 403, 403, 403, 0, 403, 403, 403}
	// A shared object may be used by others, but not changed.
	readShared   = rule{401, 0, 0, 0, 0, 0, 0, 403}
	changeShared = rule{401, 403, 403, 0, 0, 0, 403, 403}
)

// request is the call of an operation.
type request struct {
	path string
	body any
	// file means that a file is uploaded instead of body.
	file bool
}

// cell is an operation's rule, and how to prepare a call of it.
type cell struct {
	rule rule
	// scope is the resource of the scopes of the API keys.
	scope   string
	prepare func(m *matrix) request
}

// matrix is a server with a client for each actor.
type matrix struct {
	*server
	clients map[string]*client
	ids     map[string]string
	// refused has the refusals so far, by operation, actor and status.
	refused map[string]bool
	serial  int
}

func (m *matrix) owner() *client { return m.clients["owner"] }

func (m *matrix) next() string { m.serial++; return fmt.Sprint("m", m.serial) }

func at(path string, body ...any) func(*matrix) request {
	return func(*matrix) request {
		r := request{path: path}
		if len(body) > 0 {
			r.body = body[0]
		}
		return r
	}
}

// on creates an object and puts its id into the path.
func on(create func(*matrix) string, path string, body ...any) func(*matrix) request {
	return func(m *matrix) request {
		r := at(path, body...)(m)
		r.path = strings.ReplaceAll(r.path, "{}", create(m))
		return r
	}
}

func anAgent(m *matrix) string { return m.owner().newAgent("echo") }

func aSharedAgent(m *matrix) string {
	id := anAgent(m)
	m.owner().do("PATCH", "/v1/agents/"+id, object{"shared": true}).want(m.t, 200)
	return id
}

// aSession creates the owner's session "hers" and returns the id of its agent.
func aSession(m *matrix) string {
	id := anAgent(m)
	m.owner().chat(id, "hers", "Hello")
	return id
}

func aRun(m *matrix) string  { return m.owner().chat(anAgent(m), "hers", "Hello").Metadata.RunID }
func aTask(m *matrix) string { return m.owner().newTask(anAgent(m), "a task").ID }

func aFile(m *matrix) string { return m.owner().upload(m.next()+".txt", []byte("bytes")).ID }

func aServer(m *matrix) string {
	return m.owner().newMCPServer(m.next(), object{"url": "http://127.0.0.1:9/mcp"}).ID
}

func aSharedServer(m *matrix) string {
	id := aServer(m)
	m.owner().do("PATCH", "/v1/mcp-servers/"+id, object{"shared": true}).want(m.t, 200)
	return id
}

func aKey(m *matrix) string {
	r := m.owner().post("/v1/api-keys/", object{"name": m.next(), "scopes": []string{"*"}}).want(m.t, 201)
	return decode[struct{ ID string }](m.t, r).ID
}

func aUser(m *matrix) string {
	name := m.next()
	r := m.clients["admin"].post("/v1/users/",
		object{"username": name, "email": name + "@example.com", "password": "a long password"}).want(m.t, 201)
	return decode[struct{ ID string }](m.t, r).ID
}

var newServerBody = func(m *matrix) request {
	slug := m.next()
	return request{
		path: "/v1/mcp-servers/", body: object{"name": slug, "slug": slug, "config": object{"url": "http://127.0.0.1:9/mcp"}},
	}
}

var cells = map[string]cell{
	"health":       {open, "", at("/health")},
	"health-ready": {open, "", at("/health/ready")},
	"login":        {open, "", at("/v1/auth/login", object{"username": "", "password": ""})},
	"refresh":      {open, "", at("/v1/auth/refresh", object{"refresh_token": "", "unknown": 1})},
	"websocket":    {open, "", at("/v1/ws")},

	"me":     {anyKey, "agents", at("/v1/auth/me")},
	"logout": {account, "agents", nil}, // tested last, because it ends the logins
	"change-password": {account, "agents", at("/v1/auth/password",
		object{"current_password": "not the one", "new_password": "another long password"})},

	"end-sessions": {account, "agents", nil}, // tested last, too

	"list-agent-types": {self, "agents", at("/v1/agent-types")},
	"list-models":      {self, "agents", at("/v1/models")},
	"list-usage":       {self, "agents", at("/v1/usage")},

	"get-storage-usage":    {self, "agents", at("/v1/usage/storage")},
	"get-storage-usage/of": {rule{401, 403, 403, 0, 0, 0, 0, 403}, "agents", at("/v1/usage/storage?user_id=OWNER")},

	"list-agents":    {self, "agents", at("/v1/agents/")},
	"create-agent":   {create, "agents", at("/v1/agents/", object{"name": "a", "type": "chat", "config": object{"model": "echo"}})},
	"get-agent":      {read, "agents", on(anAgent, "/v1/agents/{}")},
	"change-agent":   {change, "agents", on(anAgent, "/v1/agents/{}", object{"name": "b"})},
	"replace-agent":  {change, "agents", on(anAgent, "/v1/agents/{}", object{"name": "b", "type": "chat", "config": object{"model": "echo"}})},
	"delete-agent":   {change, "agents", on(anAgent, "/v1/agents/{}")},
	"get-agent/s":    {readShared, "agents", on(aSharedAgent, "/v1/agents/{}")},
	"change-agent/s": {changeShared, "agents", on(aSharedAgent, "/v1/agents/{}", object{"name": "b"})},
	"delete-agent/s": {changeShared, "agents", on(aSharedAgent, "/v1/agents/{}")},

	"chat":           {change, "chat", on(anAgent, "/v1/agents/{}/chat", object{"message": "Hello"})},
	"chat/s":         {create, "chat", on(aSharedAgent, "/v1/agents/{}/chat", object{"message": "Hello"})},
	"chat-history":   {read, "chat", on(aSession, "/v1/agents/{}/chat/history?session_id=hers")},
	"list-sessions":  {read, "chat", on(aSession, "/v1/agents/{}/sessions")},
	"delete-session": {rule{401, 403, 403, 0, 0, 0, 403, 403}, "chat", on(aSession, "/v1/agents/{}/sessions/hers?user_id=OWNER")},
	"get-run":        {read, "chat", on(aRun, "/v1/runs/{}")},
	"run-events":     {read, "chat", on(aRun, "/v1/runs/{}/events")},
	"cancel-run":     {change, "chat", on(aRun, "/v1/runs/{}/cancel")},

	"list-tasks": {self, "tasks", at("/v1/tasks/")},
	"create-task": {create, "tasks", func(m *matrix) request {
		return request{path: "/v1/tasks/", body: object{"title": "a task", "agent_id": aSharedAgent(m)}}
	}},
	"get-task":    {read, "tasks", on(aTask, "/v1/tasks/{}")},
	"cancel-task": {change, "tasks", on(aTask, "/v1/tasks/{}/cancel")},
	"task-events": {read, "tasks", on(aTask, "/v1/tasks/{}/events")},

	"list-files":    {self, "files", at("/v1/files/")},
	"upload-file":   {create, "files", func(*matrix) request { return request{path: "/v1/files/upload", file: true} }},
	"get-file":      {read, "files", on(aFile, "/v1/files/{}")},
	"download-file": {read, "files", on(aFile, "/v1/files/{}/download")},
	"change-file":   {change, "files", on(aFile, "/v1/files/{}", object{"name": "b.txt"})},
	"delete-file":   {change, "files", on(aFile, "/v1/files/{}")},
	"move-files":    {admin, "files", at("/v1/files/move", object{"from": "local", "to": "none"})},

	"list-mcp-servers":     {self, "mcp", at("/v1/mcp-servers/")},
	"create-mcp-server":    {create, "mcp", newServerBody},
	"get-mcp-server":       {read, "mcp", on(aServer, "/v1/mcp-servers/{}")},
	"change-mcp-server":    {change, "mcp", on(aServer, "/v1/mcp-servers/{}", object{"name": "b"})},
	"replace-mcp-server":   {change, "mcp", on(aServer, "/v1/mcp-servers/{}", object{"name": "b", "slug": "b", "config": object{"url": "http://127.0.0.1:9/mcp"}})},
	"delete-mcp-server":    {change, "mcp", on(aServer, "/v1/mcp-servers/{}")},
	"start-mcp-server":     {change, "mcp", on(aServer, "/v1/mcp-servers/{}/start")},
	"stop-mcp-server":      {change, "mcp", on(aServer, "/v1/mcp-servers/{}/stop")},
	"restart-mcp-server":   {change, "mcp", on(aServer, "/v1/mcp-servers/{}/restart")},
	"mcp-server-logs":      {read, "mcp", on(aServer, "/v1/mcp-servers/{}/logs")},
	"list-mcp-tools":       {read, "mcp", on(aServer, "/v1/mcp-servers/{}/tools")},
	"get-mcp-server/s":     {readShared, "mcp", on(aSharedServer, "/v1/mcp-servers/{}")},
	"change-mcp-server/s":  {changeShared, "mcp", on(aSharedServer, "/v1/mcp-servers/{}", object{"name": "b"})},
	"restart-mcp-server/s": {changeShared, "mcp", on(aSharedServer, "/v1/mcp-servers/{}/restart")},
	"mcp-server-logs/s":    {rule{401, 403, 403, 0, 0, 0, 0, 403}, "mcp", on(aSharedServer, "/v1/mcp-servers/{}/logs")},
	// Only admins may create an MCP server that runs a program.
	"create-mcp-server/p": {rule{401, 403, 403, 403, 0, 403, 403, 403}, "mcp", func(m *matrix) request {
		slug := m.next()
		return request{
			path: "/v1/mcp-servers/", body: object{"name": slug, "slug": slug, "config": object{"command": "true"}},
		}
	}},

	"list-api-keys": {rule{401, 0, 0, 0, 0, 0, 403, 403}, "agents", at("/v1/api-keys/")},
	"create-api-key": {account, "agents", func(m *matrix) request {
		return request{path: "/v1/api-keys/", body: object{"name": m.next(), "scopes": []string{"*"}}}
	}},
	"get-api-key":    {own, "agents", on(aKey, "/v1/api-keys/{}")},
	"delete-api-key": {own, "agents", on(aKey, "/v1/api-keys/{}")},

	"list-users":        {admin, "agents", at("/v1/users/")},
	"create-user":       {admin, "agents", at("/v1/users/", object{"username": "x", "email": "not an email", "password": "short"})},
	"get-user":          {admin, "agents", on(aUser, "/v1/users/{}")},
	"change-user":       {admin, "agents", on(aUser, "/v1/users/{}", object{"role": "viewer"})},
	"delete-user":       {admin, "agents", on(aUser, "/v1/users/{}?objects=erase")},
	"export-user":       {own, "agents", at("/v1/users/OWNER/export")},
	"reset-password":    {admin, "agents", on(aUser, "/v1/users/{}/password", object{"password": "another long password"})},
	"end-user-sessions": {admin, "agents", on(aUser, "/v1/users/{}/end-sessions")},
	"list-audit":        {admin, "agents", at("/v1/audit")},
	"list-plugins":      {admin, "agents", at("/v1/plugins")},
	"reload-plugins":    {admin, "agents", at("/v1/plugins/reload?dry_run=true")},
}

// through is a call by an API key of the owner that reaches more than the resource of its operation.
type through struct {
	name, scopes, method string
	prepare              func(m *matrix) request
	// missing is the scope that the refusal must name. It is empty if the call is allowed.
	missing string
}

// aTaskRun creates a task, waits for its end, and returns the id of its run. The agent is in m.ids.
func aTaskRun(m *matrix) string {
	m.ids["agent"] = anAgent(m)
	t := m.owner().newTask(m.ids["agent"], "a task")
	m.ids["task"] = t.ID
	return m.owner().waitTask(t.ID).RunID
}

// filesSession creates a session to which the owner has attached a file, and returns the id of its agent.
func filesSession(m *matrix) string {
	id := anAgent(m)
	m.owner().post("/v1/agents/"+id+"/chat",
		object{"message": "Read", "session_id": "papers", "file_ids": []string{aFile(m)}}).want(m.t, 200)
	return id
}

// onTask creates a task that has run, and replaces AGENT and TASK in the path and {} by the id of the run.
func onTask(path string, body ...any) func(*matrix) request {
	return func(m *matrix) request {
		r := on(aTaskRun, path, body...)(m)
		r.path = strings.NewReplacer("AGENT", m.ids["agent"], "TASK", m.ids["task"]).Replace(r.path)
		if o, ok := r.body.(object); ok && o["session_id"] == "TASK" {
			r.body = object{"message": o["message"], "session_id": m.ids["task"]}
		}
		return r
	}
}

func withFile(path string, body object) func(*matrix) request {
	return func(m *matrix) request {
		b := maps.Clone(body)
		b["file_ids"] = []string{aFile(m)}
		if strings.Contains(path, "/tasks") {
			b["agent_id"] = anAgent(m)
		}
		return on(anAgent, path, b)(m)
	}
}

var throughs = []through{
	{"chat with a file", "chat:write", "POST", withFile("/v1/agents/{}/chat", object{"message": "Read"}), "files:read"},
	{"chat with a file", "chat:write files:read", "POST", withFile("/v1/agents/{}/chat", object{"message": "Read"}), ""},
	{"chat after a file", "chat:write", "POST", on(filesSession, "/v1/agents/{}/chat", object{"message": "Repeat", "session_id": "papers"}), "files:read"},
	{"chat after a file", "chat:write files:read", "POST", on(filesSession, "/v1/agents/{}/chat", object{"message": "Repeat", "session_id": "papers"}), ""},
	{"chat beside a file", "chat:write", "POST", on(filesSession, "/v1/agents/{}/chat", object{"message": "Hello", "session_id": "other"}), ""},
	{"task with a file", "tasks:write", "POST", withFile("/v1/tasks/", object{"title": "Read"}), "files:read"},
	{"task with a file", "tasks:write files:read", "POST", withFile("/v1/tasks/", object{"title": "Read"}), ""},
	{"run of a task", "chat:write", "GET", onTask("/v1/runs/{}"), "tasks:read"},
	{"run of a task", "tasks:read", "GET", onTask("/v1/runs/{}"), ""},
	{"run of a chat", "tasks:write", "GET", on(aRun, "/v1/runs/{}"), "chat:read"},
	{"events of a task", "chat:write", "GET", onTask("/v1/runs/{}/events"), "tasks:read"},
	{"events of a task", "tasks:read", "GET", onTask("/v1/runs/{}/events"), ""},
	{"events of a chat", "tasks:write", "GET", on(aRun, "/v1/runs/{}/events"), "chat:read"},
	{"cancel a task's run", "chat:write tasks:read", "POST", onTask("/v1/runs/{}/cancel"), "tasks:write"},
	{"history of a task", "chat:write", "GET", onTask("/v1/agents/AGENT/chat/history?session_id=TASK"), "tasks:read"},
	{"history of a task", "chat:read tasks:read", "GET", onTask("/v1/agents/AGENT/chat/history?session_id=TASK"), ""},
	{"chat in a task", "chat:write", "POST", onTask("/v1/agents/AGENT/chat", object{"message": "Repeat", "session_id": "TASK"}), "tasks:read"},
	{"delete a task's session", "chat:write tasks:read", "DELETE", onTask("/v1/agents/AGENT/sessions/TASK"), "tasks:write"},
	{"delete a task's session", "chat:write tasks:write", "DELETE", onTask("/v1/agents/AGENT/sessions/TASK"), ""},
	{"delete an unused agent", "agents:write", "DELETE", on(anAgent, "/v1/agents/{}"), ""},
	{"delete an agent with sessions", "agents:write tasks:write", "DELETE", on(aSession, "/v1/agents/{}"), "chat:write"},
	{"delete an agent with sessions", "agents:write chat:write", "DELETE", on(aSession, "/v1/agents/{}"), ""},
	{"delete an agent with tasks", "agents:write chat:write", "DELETE", onTask("/v1/agents/AGENT"), "tasks:write"},
	{"delete an agent with tasks", "agents:write tasks:write", "DELETE", onTask("/v1/agents/AGENT"), ""},
}

// callThrough checks that scopes hold through operations of other resources.
func (m *matrix) callThrough() {
	m.t.Helper()
	keys := map[string]*client{}
	for _, c := range throughs {
		if keys[c.scopes] == nil {
			keys[c.scopes] = m.key(strings.Fields(c.scopes)...)
		}
		r := c.prepare(m)
		got := keys[c.scopes].do(c.method, r.path, r.body)
		switch {
		case c.missing == "" && got.status >= 300:
			m.t.Errorf("%s with %s: got status %d, want success: %.300s", c.name, c.scopes, got.status, got.body)
		case c.missing != "" && (got.status != 403 || !strings.Contains(got.failure(m.t).Message, c.missing)):
			m.t.Errorf("%s with %s: got status %d, want 403 that names %s: %.300s",
				c.name, c.scopes, got.status, c.missing, got.body)
		}
	}
	// Lists leave out what the scopes do not cover.
	aTaskRun(m)
	m.owner().chat(m.ids["agent"], "hers", "Hello")
	for scopes, want := range map[string]bool{"chat:read": false, "chat:read tasks:read": true} {
		key := m.key(strings.Fields(scopes)...)
		for _, path := range []string{"/sessions", "/chat/history"} {
			body := string(key.get("/v1/agents/"+m.ids["agent"]+path).want(m.t, 200).body)
			if has := strings.Contains(body, m.ids["task"]); has != want || !strings.Contains(body, `"hers"`) {
				m.t.Errorf("%s with %s: the session of a task is in the list: %v, want %v: %.500s", path, scopes, has, want, body)
			}
		}
		w := key.dialWebSocket()
		w.send(object{"type": "subscribe", "channel": "agent." + m.ids["agent"] + ".events", "after": 0})
		for {
			message := w.receive()
			if strings.Contains(message.raw, `"hers"`) {
				if want {
					m.t.Errorf("the WebSocket with %s receives nothing of the task before %s", scopes, message.raw)
				}
				break
			}
			if strings.Contains(message.raw, m.ids["task"]) {
				if !want {
					m.t.Errorf("the WebSocket with %s receives %s", scopes, message.raw)
				}
				break
			}
		}
	}
}

// matrixPlugins allows MCP servers on loopback addresses.
const matrixPlugins = `
plugin "agent" "chat" {
  command = "agent-chat"
}
plugin "llm" "echo" {
  command = "llm-echo"
}
plugin "files" "local" {
  command = "files-local"
}
plugin "mcp" "http" {
  command = "mcp-http"
  config {
    allow = ["127.0.0.0/8"]
  }
}
` + stdioPlugin

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{server: start(t, matrixPlugins), ids: map[string]string{}, refused: map[string]bool{}}
	root := m.signIn()
	m.clients = map[string]*client{
		"anonymous": {t: t, url: m.url}, "admin": root,
		"other": m.newUser(root, "other", "member"), "owner": m.newUser(root, "owner", "member"),
		"viewer": m.newUser(root, "viewer", "viewer"),
	}
	m.ids["owner"] = decode[struct{ ID string }](t, m.owner().get("/v1/auth/me").want(t, 200)).ID
	return m
}

// key returns a client with an API key of the owner.
func (m *matrix) key(scopes ...string) *client {
	m.t.Helper()
	r := m.owner().post("/v1/api-keys/", object{"name": m.next(), "scopes": scopes}).want(m.t, 201)
	return &client{t: m.t, url: m.url, token: decode[struct{ Key string }](m.t, r).Key}
}

// TestAuthorisationMatrix calls every operation as every actor, and checks that the audit has each
// change and each refusal.
func TestAuthorisationMatrix(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	doc := decode[struct {
		Paths map[string]map[string]struct{ OperationID string }
	}](t, m.clients["anonymous"].get("/openapi.json").want(t, 200))
	methods := map[string]string{}
	for _, operations := range doc.Paths {
		for method, o := range operations {
			methods[o.OperationID] = strings.ToUpper(method)
			if _, placed := cells[o.OperationID]; !placed {
				t.Errorf("the matrix does not have %s: add who may call it", o.OperationID)
			}
		}
	}
	all := m.key("*")
	keys := map[string][3]*client{}
	for name, c := range cells {
		if c.scope != "" && keys[c.scope] == [3]*client{} {
			another := "files:write"
			if c.scope == "files" {
				another = "agents:write"
			}
			keys[c.scope] = [3]*client{all, m.key(c.scope + ":read"), m.key(another)}
		}
		id, _, _ := strings.Cut(name, "/")
		if methods[id] == "" {
			t.Errorf("the OpenAPI document does not have %s of the matrix", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cells)) {
		c := cells[name]
		id, _, _ := strings.Cut(name, "/")
		if c.prepare == nil {
			continue
		}
		for i, actor := range actors {
			clients := m.clients[actor]
			if i > 4 {
				if c.scope == "" {
					continue
				}
				clients = keys[c.scope][i-5]
			}
			m.call(name, id, methods[id], actor, clients, c, c.rule[i])
		}
	}
	m.callThrough()
	m.logout(all)
}

func (m *matrix) call(name, id, method, actor string, clients *client, c cell, want int) {
	m.t.Helper()
	r := c.prepare(m)
	r.path = strings.ReplaceAll(r.path, "OWNER", m.ids["owner"])
	requestID := fmt.Sprintf("matrix-%s-%s", strings.ReplaceAll(name, "/", "-"), strings.ReplaceAll(actor, " ", "-"))
	headers := []string{"X-Request-ID: " + requestID}
	if r.file {
		body, err := io.ReadAll(form(filePart("a.txt", strings.NewReader("bytes"))))
		if err != nil {
			m.t.Fatal(err)
		}
		r.body = string(body)
		headers = append(headers, "Content-Type: multipart/form-data; boundary="+boundary)
	}
	got := clients.do(method, r.path, r.body, headers...)
	allowed := got.status != 401 && got.status != 403 && got.status != 404
	if want == 0 && id == "login" {
		allowed = true // anybody may try, and a wrong password is a 401 or 400
	}
	if allowed != (want == 0) || want != 0 && got.status != want {
		m.t.Errorf("%s by %s: got status %d, want %d (0 means allowed): %.300s", name, actor, got.status, want, got.body)
	}
	if got.status >= 500 && got.status != 503 && got.status != 502 {
		m.t.Errorf("%s by %s: got status %d: %.300s", name, actor, got.status, got.body)
	}
	if slices.Contains([]int{401, 403, 404}, got.status) {
		// Repeated refusals of the same kind are folded into one record, after a minute.
		refusal := fmt.Sprint(id, " ", actor, " ", got.status)
		if m.refused[refusal] {
			return
		}
		m.refused[refusal] = true
	}
	m.wantAudit(requestID, id, method, actor, got.status)
}

// wantAudit checks that the audit has one entry for a change or a refusal, and none otherwise.
func (m *matrix) wantAudit(requestID, id, method, actor string, status int) {
	m.t.Helper()
	want := ""
	switch {
	case status == 401, status == 403, status == 404:
		want = "refused"
	case method != "GET" && status < 400:
		want = "done"
	}
	type row struct{ Action, Outcome, Username, Address string }
	var rows []row
	look := func() bool {
		rows = decode[struct{ Entries []row }](m.t,
			m.clients["admin"].get("/v1/audit?request_id="+requestID).want(m.t, 200)).Entries
		return (want == "") == (len(rows) == 0)
	}
	// The entry of a refusal may be written after the reply.
	eventually(m.t, "the audit of "+requestID, look)
	if want == "" {
		return
	}
	r := rows[0]
	if len(rows) != 1 || r.Action != id || r.Outcome != want || r.Address != "127.0.0.1" ||
		(r.Username == "") != (actor == "anonymous") {
		m.t.Errorf("got audit entries %+v for %s, want one with outcome %s", rows, requestID, want)
	}
}

// logout checks that an access token can log out and an API key cannot.
func (m *matrix) logout(key *client) {
	m.t.Helper()
	key.post("/v1/auth/logout", nil).want(m.t, 409)
	m.clients["anonymous"].post("/v1/auth/logout", nil).want(m.t, 401)
	m.clients["anonymous"].post("/v1/auth/end-sessions", nil).want(m.t, 401)
	m.key("agents:write").post("/v1/auth/end-sessions", nil).want(m.t, 403)
	for _, actor := range []string{"viewer", "owner", "other"} {
		m.clients[actor].post("/v1/auth/logout", nil).want(m.t, 204)
		m.clients[actor].get("/v1/auth/me").want(m.t, 401)
	}
	key.post("/v1/auth/end-sessions", nil).want(m.t, 204)
	key.get("/v1/auth/me").want(m.t, 401)
}
