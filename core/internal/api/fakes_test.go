package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/auth"
	"github.com/agentarea/agentarea/core/internal/limit"
	"github.com/agentarea/agentarea/sdk"
)

const chatSchema = `{
	"type": "object",
	"properties": {
		"model": {"type": "string", "minLength": 1},
		"temperature": {"type": "number", "minimum": 0, "maximum": 2},
		"max_tokens": {"type": "integer", "minimum": 1},
		"stop": {"type": "array", "items": {"type": "string"}},
		"system_prompt": {"type": "string"},
		"seed": {"type": "integer"},
		"extra": {"type": "object"}
	},
	"required": ["model"],
	"additionalProperties": false
}`

var errBoom = errors.New("dial tcp 10.0.0.7:5432: password authentication failed")

// world is everything behind the API, in memory.
type world struct {
	mu       sync.Mutex
	users    map[string]*core.User
	logins   map[string]*core.Login
	keys     map[string]*core.APIKey
	audit    []*core.AuditEntry
	agents   map[string]*core.Agent
	sessions []*core.Session
	messages []*core.Message
	runs     map[string]*core.Run
	broken   []core.Dependency
	// fail is what the stores of agents fail with.
	fail error
	// events are what Watch gives, and answer what Wait gives.
	events  func(ctx context.Context, after int64) core.EventStream
	waitErr error
	answer  []sdk.Part
	turns   []core.Turn
	// used is what Usage gives, and usageFilter what it was asked.
	used        []core.UsageRow
	usageFilter core.UsageFilter
	// reload is what Reload gives.
	reload    core.PluginReload
	reloadErr error
	log       bytes.Buffer
}

func (w *world) CreateUser(_ context.Context, u *core.User) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, have := range w.users {
		if strings.EqualFold(have.Username, u.Username) || have.Email == u.Email {
			return core.Conflict("The username or email is taken")
		}
	}
	c := *u
	w.users[u.ID] = &c
	return nil
}

func (w *world) User(_ context.Context, id string) (*core.User, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u := w.users[id]; u != nil {
		c := *u
		return &c, nil
	}
	return nil, core.NotFound("user", id)
}

func (w *world) UserByName(_ context.Context, name string) (*core.User, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.users {
		if strings.EqualFold(u.Username, name) {
			c := *u
			return &c, nil
		}
	}
	return nil, core.NotFound("user", name)
}

func (w *world) Users(_ context.Context, p core.Page) ([]*core.User, int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]*core.User, 0, len(w.users))
	for _, u := range w.users {
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b *core.User) int { return strings.Compare(a.Username, b.Username) })
	return part(all, p), len(all), nil
}

func part[T any](all []T, p core.Page) []T {
	from := min(p.Offset, len(all))
	return all[from:min(from+p.Limit, len(all))]
}

func (w *world) UpdateUser(_ context.Context, id string, up core.UserUpdate) (*core.User, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.users[id]
	if u == nil {
		return nil, core.NotFound("user", id)
	}
	if up.Role != nil {
		u.Role = *up.Role
	}
	if up.Disabled != nil {
		u.Disabled = *up.Disabled
	}
	if up.PasswordHash != nil {
		u.PasswordHash = *up.PasswordHash
	}
	for _, l := range w.logins {
		if up.EndLogins && l.UserID == id && l.ID != up.KeepLogin {
			l.EndedAt = up.At
		}
	}
	c := *u
	return &c, nil
}

func (w *world) CreateAPIKey(_ context.Context, k *core.APIKey) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := *k
	w.keys[k.ID] = &c
	return nil
}

func (w *world) APIKey(_ context.Context, v core.Actor, id string) (*core.APIKey, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k := w.keys[id]; k != nil && (v.Admin() || k.UserID == v.UserID) {
		c := *k
		return &c, nil
	}
	return nil, core.NotFound("API key", id)
}

func (w *world) APIKeys(context.Context, core.Actor, string, core.Page) ([]*core.APIKey, int, error) {
	return nil, 0, nil
}

func (w *world) DeleteAPIKey(_ context.Context, _ core.Actor, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.keys, id)
	return nil
}

func (w *world) SetAPIKeyLastUsed(_ context.Context, id string, at time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k := w.keys[id]; k != nil {
		k.LastUsedAt = at
	}
	return nil
}

func (w *world) Record(_ context.Context, e *core.AuditEntry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.audit = append(w.audit, e)
	return nil
}

func (w *world) Audit(context.Context, core.AuditFilter) ([]*core.AuditEntry, int, error) {
	return nil, 0, nil
}

func (w *world) DeleteAudit(context.Context, time.Time, int) (int, error) { return 0, nil }

func (w *world) CreateLogin(_ context.Context, l *core.Login) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := *l
	w.logins[l.ID] = &c
	return nil
}

func (w *world) Login(_ context.Context, id string) (*core.Login, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.logins[id]; l != nil {
		c := *l
		return &c, nil
	}
	return nil, core.NotFound("login", id)
}

func (w *world) RotateLogin(_ context.Context, l *core.Login) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if have := w.logins[l.ID]; have.Generation != l.Generation-1 || !have.EndedAt.IsZero() {
		return core.Conflict("rotated meanwhile")
	}
	c := *l
	w.logins[l.ID] = &c
	return nil
}

func (w *world) EndLogin(_ context.Context, id string, at time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.logins[id]; l != nil && l.EndedAt.IsZero() {
		l.EndedAt = at
	}
	return nil
}

func (w *world) DeleteLogins(context.Context, time.Time, int) (int, error) { return 0, nil }

func (w *world) CreateAgent(_ context.Context, a *core.Agent) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := *a
	w.agents[a.ID] = &c
	return w.fail
}

func (w *world) Agent(_ context.Context, v core.Actor, id string) (*core.Agent, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return nil, w.fail
	}
	return w.agent(v, id)
}

func (w *world) agent(v core.Actor, id string) (*core.Agent, error) {
	a := w.agents[id]
	if a == nil || !(v.Admin() || a.Shared || a.CreatedBy == v.UserID) {
		return nil, core.NotFound("agent", id)
	}
	c := *a
	return &c, nil
}

func (w *world) Agents(_ context.Context, v core.Actor, f core.AgentFilter) ([]*core.Agent, int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []*core.Agent
	for id := range w.agents {
		a, err := w.agent(v, id)
		if err != nil || f.Type != "" && f.Type != a.Type {
			continue
		}
		status := a.Status
		if slices.Contains(f.Broken, core.Dependency{Type: a.Type, Model: a.Model}) {
			status = core.AgentError
		}
		if f.Status == "" || f.Status == status {
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(a, b *core.Agent) int { return strings.Compare(b.ID, a.ID) })
	return part(found, f.Page), len(found), w.fail
}

func (w *world) AgentDependencies(_ context.Context, v core.Actor) ([]core.Dependency, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []core.Dependency
	for id := range w.agents {
		if a, err := w.agent(v, id); err == nil {
			found = append(found, core.Dependency{Type: a.Type, Model: a.Model})
		}
	}
	return found, nil
}

func (w *world) mayChange(v core.Actor, id string, version int64) error {
	a, err := w.agent(v, id)
	switch {
	case err != nil:
		return err
	case !v.Admin() && a.CreatedBy != v.UserID:
		return core.Forbidden("Insufficient permissions: the agent is somebody else's")
	case version != 0 && version != a.Version:
		return &core.Error{Code: core.CodePreconditionFailed, Message: "The agent has changed meanwhile"}
	}
	return nil
}

func (w *world) UpdateAgent(_ context.Context, v core.Actor, a *core.Agent) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.mayChange(v, a.ID, a.Version); err != nil {
		return err
	}
	c := *a
	c.Version++
	w.agents[a.ID] = &c
	return nil
}

func (w *world) DeleteAgent(_ context.Context, v core.Actor, id string, version int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.mayChange(v, id, version); err != nil {
		return err
	}
	delete(w.agents, id)
	return nil
}

func (w *world) Sessions(_ context.Context, f core.SessionFilter) ([]*core.Session, int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []*core.Session
	for _, s := range w.sessions {
		if s.AgentID == f.AgentID && s.UserID == f.UserID {
			found = append(found, s)
		}
	}
	return part(found, f.Page), len(found), nil
}

func (w *world) DeleteSession(_ context.Context, agentID, userID, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, s := range w.sessions {
		if s.AgentID == agentID && s.UserID == userID && s.ID == id {
			w.sessions = slices.Delete(w.sessions, i, i+1)
			return nil
		}
	}
	return core.NotFound("session", id)
}

func (w *world) Messages(_ context.Context, f core.MessageFilter) ([]*core.Message, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []*core.Message
	for _, m := range w.messages {
		if m.AgentID == f.AgentID && m.UserID == f.UserID && (f.SessionID == "" || m.SessionID == f.SessionID) &&
			(f.Before.IsZero() || m.CreatedAt.Before(f.Before)) {
			found = append(found, m)
		}
	}
	return found[max(0, len(found)-f.Limit):], nil
}

func (w *world) HistoryBefore(context.Context, string, string, int) ([]*core.Message, error) {
	return nil, nil
}

func (w *world) Message(_ context.Context, id string) (*core.Message, error) {
	return nil, core.NotFound("message", id)
}

func (w *world) Run(_ context.Context, v core.Actor, id string) (*core.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.runs[id]; r != nil && (v.Admin() || r.UserID == v.UserID) {
		c := *r
		return &c, nil
	}
	return nil, core.NotFound("run", id)
}

func (w *world) StartTurn(_ context.Context, v core.Actor, t core.Turn) (*core.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.SessionID == "busy" {
		return nil, core.Conflict("Another turn of session %q is under way", t.SessionID)
	}
	if t.SessionID == "" {
		t.SessionID = "session-new"
	}
	w.turns = append(w.turns, t)
	r := &core.Run{
		ID: core.NewID("run"), Kind: core.RunChat, Status: core.RunRunning, AgentID: t.Agent.ID, UserID: v.UserID,
		SessionID: t.SessionID, CreatedAt: time.Now(), Attempt: 1,
	}
	w.runs[r.ID] = r
	return r, nil
}

func (w *world) Wait(_ context.Context, r *core.Run) (*core.Message, error) {
	if w.waitErr != nil {
		return nil, w.waitErr
	}
	parts := w.answer
	if parts == nil {
		parts = []sdk.Part{{Text: "<Hello> & "}, {Text: "welcome"}}
	}
	return &core.Message{
		ID: "msg-456", SessionID: r.SessionID, Role: sdk.RoleAssistant, Parts: parts,
		CreatedAt: time.Date(2025, 1, 2, 3, 4, 5, 6000, time.FixedZone("", 3600)),
		Metadata:  json.RawMessage(`{"model":"gpt-4","tokens_used":150,"run_id":"` + r.ID + `"}`),
	}, nil
}

func (w *world) Watch(ctx context.Context, v core.Actor, id string, after int64) (core.EventStream, error) {
	if _, err := w.Run(ctx, v, id); err != nil {
		return nil, err
	}
	return w.events(ctx, after), nil
}

func (w *world) Cancel(ctx context.Context, v core.Actor, id string) (*core.Run, error) {
	r, err := w.Run(ctx, v, id)
	if err != nil {
		return nil, err
	}
	if r.Status.Ended() {
		return nil, core.Conflict("The run %q has ended", id)
	}
	r.CancelRequested = true
	return r, nil
}

func (w *world) Plugins() []core.Plugin {
	return []core.Plugin{{Kind: "agent", Label: "chat", State: core.PluginRunning, PID: 42, StartedAt: time.Now()}}
}

func (w *world) AgentTypes() []core.AgentType {
	return []core.AgentType{
		{Type: "chat", Description: "Chats", ConfigSchema: json.RawMessage(chatSchema), Available: true},
		{Type: "down"},
		{Type: "odd", ConfigSchema: json.RawMessage(`{"$ref":"https://example.com/schema.json"}`), Available: true},
	}
}

func (w *world) Models(context.Context) []core.Model {
	return []core.Model{{ID: "openai/gpt-4", Provider: "openai", ProviderID: "gpt-4"}}
}

func (w *world) CheckModel(_ context.Context, field, model string) error {
	if model != "gpt-4" {
		return core.Invalid(field, "There is no model %q; there are: gpt-4", model)
	}
	return nil
}

func (w *world) Broken(dependencies []core.Dependency) []core.Dependency {
	w.mu.Lock()
	defer w.mu.Unlock()
	var broken []core.Dependency
	for _, b := range dependencies {
		if slices.Contains(w.broken, b) {
			broken = append(broken, b)
		}
	}
	return broken
}

func (w *world) Usage(_ context.Context, _ core.Actor, f core.UsageFilter) ([]core.UsageRow, int, core.UsageRow, error) {
	w.usageFilter = f
	var sum core.UsageRow
	for _, u := range w.used {
		sum.Completions += u.Completions
		sum.Usage = sum.Add(u.Usage)
	}
	return w.used, len(w.used), sum, nil
}

func (w *world) PlanReload(context.Context) (*core.PluginReload, error) {
	plan := w.reload
	plan.Generation = 77
	return &plan, nil
}

func (w *world) Reload(context.Context) (*core.PluginReload, error) {
	if w.reloadErr != nil {
		return nil, w.reloadErr
	}
	return &w.reload, nil
}

// script is an EventStream of batches; after them it does what last does.
type script struct {
	batches [][]core.Event
	last    func(ctx context.Context) error
}

func (s *script) Next(ctx context.Context) ([]core.Event, error) {
	if len(s.batches) == 0 {
		return nil, s.last(ctx)
	}
	b := s.batches[0]
	s.batches = s.batches[1:]
	return b, nil
}

func eof(context.Context) error { return io.EOF }

func block(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// bench is the API over a world, with tokens of its users: root (admin), ann
// and bob (members), and eve (viewer).
type bench struct {
	*world
	api     *api
	handler http.Handler
	auth    *auth.Auth
	files   *fileWorld
	mcp     *mcpWorld
	tokens  map[string]string
}

func newBench(t *testing.T, change ...func(*Options)) *bench {
	t.Helper()
	w := &world{
		users: map[string]*core.User{}, logins: map[string]*core.Login{}, keys: map[string]*core.APIKey{},
		agents: map[string]*core.Agent{}, runs: map[string]*core.Run{},
	}
	w.events = func(context.Context, int64) core.EventStream { return &script{last: eof} }
	au, err := auth.New(auth.Options{Users: w, Logins: w, Keys: w, Secret: []byte(strings.Repeat("s", 32)), Rates: limit.NewMemory(nil), AddressAttempts: -1})
	if err != nil {
		t.Fatal(err)
	}
	files, mcp := newFileWorld(), newMCPWorld()
	o := Options{
		Auth: au, Users: w, Keys: w, Audit: w, Agents: w, Sessions: w, Messages: w, Runs: w, Runner: w, Plugins: w, Version: "1.0.0",
		Files: files, FileStore: files, MCPServers: mcp, MCPServerStore: mcp, Reloader: w, Usage: w,
		Logger: slog.New(slog.NewTextHandler(&lockedWriter{w: &w.log}, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	b := &bench{world: w, api: newAPI(o), auth: au, files: files, mcp: mcp, tokens: map[string]string{}}
	b.handler = b.api.router
	for name, role := range map[string]core.Role{
		"root": core.RoleAdmin, "ann": core.RoleMember, "bob": core.RoleMember, "eve": core.RoleViewer,
	} {
		b.addUser(t, name, role)
	}
	return b
}

// addUser makes a user with a live login, without the cost of a password.
func (b *bench) addUser(t *testing.T, name string, role core.Role) {
	t.Helper()
	now := time.Now()
	b.users["user-"+name] = &core.User{ID: "user-" + name, Username: name, Email: name + "@example.com", Role: role, CreatedAt: now}
	b.logins["login-"+name] = &core.Login{ID: "login-" + name, UserID: "user-" + name, Generation: 1, ExpiresAt: now.Add(time.Hour)}
	tok, err := b.auth.Renew(t.Context(), "login-"+name)
	if err != nil {
		t.Fatal(err)
	}
	b.tokens[name] = tok.Access
}

func (b *bench) addAgent(id, owner string, change ...func(*core.Agent)) {
	a := &core.Agent{
		ID: id, Name: "chat-assistant", Description: "General purpose chat agent", Type: "chat", Status: core.AgentActive,
		Config: json.RawMessage(`{"model":"gpt-4","temperature":0.7}`), Model: "gpt-4", Version: 1, CreatedBy: "user-" + owner,
		CreatedAt: time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), UpdatedAt: time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	for _, f := range change {
		f(a)
	}
	b.agents[id] = a
}

// lockedWriter lets requests log in parallel.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// do makes a request as somebody; header lines are "Name: value".
func (b *bench) do(t *testing.T, who, method, path, body string, headers ...string) *answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+b.tokens[who])
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return &answer{ResponseRecorder: w, t: t}
}

type answer struct {
	*httptest.ResponseRecorder
	t *testing.T
}

// want fails the test unless the status is that.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.Code != status {
		a.t.Fatalf("status %d, want %d: %s", a.Code, status, a.Body)
	}
	return a
}

// json gives the body decoded.
func (a *answer) json() map[string]any {
	a.t.Helper()
	var v map[string]any
	if err := json.Unmarshal(a.Body.Bytes(), &v); err != nil {
		a.t.Fatalf("%v in %s", err, a.Body)
	}
	return v
}

// failure gives the error's parts.
func (a *answer) failure() failure {
	a.t.Helper()
	var e errorReply
	if err := json.Unmarshal(a.Body.Bytes(), &e); err != nil || e.Failure.Code == "" {
		a.t.Fatalf("no error (%v) in %s", err, a.Body)
	}
	return e.Failure
}

func (w *world) CancelTask(context.Context, core.Actor, string) (*core.Task, error) {
	return nil, core.Unavailable("no tasks here")
}

func (w *world) WatchTask(context.Context, core.Actor, string, int64) (core.EventStream, error) {
	return nil, core.Unavailable("no tasks here")
}
