package apitest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// roles are the users of a test: root is an admin, ann and bob are members, and eve is a viewer. The id
// of ann is user-ann.
var roles = map[string]core.Role{
	"root": core.RoleAdmin, "ann": core.RoleMember, "bob": core.RoleMember, "eve": core.RoleViewer,
}

// Auth is an api.Authenticator for the users of a test, and for their API keys: with the token
// token-ann+chat:write+files:read, a request has a key of ann with two scopes. Server.AddKey adds one.
type Auth struct {
	mu    sync.Mutex
	ended map[string]bool
}

// End ends the login of a user.
func (a *Auth) End(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended == nil {
		a.ended = map[string]bool{}
	}
	a.ended[name] = true
}

// Verify implements api.Authenticator.
func (a *Auth) Verify(_ context.Context, token string) (*core.Principal, error) {
	return a.principal(strings.TrimPrefix(token, "token-"))
}

// Live implements api.Authenticator.
func (a *Auth) Live(_ context.Context, credential string) (*core.Principal, error) {
	return a.principal(strings.TrimPrefix(credential, "login-"))
}

func (a *Auth) principal(name string) (*core.Principal, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	user, scopes, keyed := strings.Cut(name, "+")
	role, ok := roles[user]
	if !ok || a.ended[name] {
		return nil, &core.Error{Code: core.CodeUnauthorized, Message: "Invalid token"}
	}
	p := &core.Principal{User: &core.User{
		ID: "user-" + user, Username: user, Email: user + "@example.com", Role: role,
	}}
	if !keyed {
		p.LoginID = "login-" + name
		return p, nil
	}
	p.Key = &core.APIKey{ID: "login-" + name, UserID: p.User.ID}
	for scope := range strings.SplitSeq(scopes, "+") {
		p.Key.Scopes = append(p.Key.Scopes, core.Scope(scope))
	}
	return p, nil
}

// Agents are agents by their ids. An actor may see its own and shared ones, and an admin all.
type Agents map[string]*core.Agent

// Agent fails with NotFound.
func (a Agents) Agent(_ context.Context, v core.Actor, id string) (*core.Agent, error) {
	ag := a[id]
	if ag == nil || !(v.Admin() || ag.Shared || ag.CreatedBy == v.UserID) {
		return nil, core.NotFound("agent", id)
	}
	c := *ag
	return &c, nil
}

// Get fails with NotFound.
func (a Agents) Get(ctx context.Context, v core.Actor, id string) (*core.Agent, error) {
	return a.Agent(ctx, v, id)
}

// Active fails with NotFound, or with Conflict for an inactive agent.
func (a Agents) Active(ctx context.Context, v core.Actor, id string) (*core.Agent, error) {
	ag, err := a.Agent(ctx, v, id)
	if err == nil && ag.Status == core.AgentInactive {
		return nil, core.Conflict("Agent %q is inactive", id)
	}
	return ag, err
}

// Add adds an agent of a user, which the functions may change.
func (a Agents) Add(id, owner string, change ...func(*core.Agent)) {
	at := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	ag := &core.Agent{
		ID: id, Name: "chat-assistant", Description: "General purpose chat agent", Type: "chat", Status: core.AgentActive,
		Config: json.RawMessage(`{"model":"gpt-4","temperature":0.7}`),
		Model:  "gpt-4", Version: 1, CreatedBy: "user-" + owner,
		CreatedAt: at, UpdatedAt: at,
	}
	for _, f := range change {
		f(ag)
	}
	a[id] = ag
}

// Files are files by their ids. An actor may attach its own.
type Files map[string]*core.File

// MessageParts fails with Invalid.
func (f Files) MessageParts(_ context.Context, v core.Actor, text string, fileIDs []string) ([]sdk.Part, error) {
	parts := []sdk.Part{{Text: text}}
	for i, id := range fileIDs {
		file := f[id]
		if file == nil || file.CreatedBy != v.UserID {
			return nil, core.Invalid(fmt.Sprintf("file_ids[%d]", i), "File %q does not exist.", id)
		}
		parts = append(parts, sdk.Part{File: file.Ref()})
	}
	return parts, nil
}

// Add adds a file of a user and returns it.
func (f Files) Add(id, owner, name, contentType string, size int64) *core.File {
	f[id] = &core.File{ID: id, Name: name, Size: size, ContentType: contentType, CreatedBy: "user-" + owner}
	return f[id]
}

// Event returns an event.
func Event(seq int64, data string) core.Event {
	return core.Event{Seq: seq, Data: json.RawMessage(data)}
}

// Events is a core.EventStream of batches. After them, Next returns the error of Last, or io.EOF if Last
// is nil.
type Events struct {
	Batches [][]core.Event
	Last    func(ctx context.Context) error
}

// Next implements core.EventStream.
func (e *Events) Next(ctx context.Context) ([]core.Event, error) {
	if len(e.Batches) > 0 {
		b := e.Batches[0]
		e.Batches = e.Batches[1:]
		return b, nil
	}
	if e.Last == nil {
		return nil, io.EOF
	}
	return nil, e.Last(ctx)
}

// Block returns when ctx ends.
func Block(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// OpenStream starts a server and opens an event stream as ann. disconnect closes the connection.
func (s *Server) OpenStream(t *testing.T, path string) (lines *bufio.Reader, disconnect func()) {
	t.Helper()
	server := s.Start(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Tokens["ann"])
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	disconnect = func() { _ = res.Body.Close() }
	t.Cleanup(disconnect)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: got status %s", path, res.Status)
	}
	return bufio.NewReader(res.Body), disconnect
}

// DeadlineWriter records the last read deadline.
type DeadlineWriter struct {
	*httptest.ResponseRecorder
	Set  bool
	Last time.Time
}

// NewDeadlineWriter returns a DeadlineWriter.
func NewDeadlineWriter() *DeadlineWriter {
	return &DeadlineWriter{ResponseRecorder: httptest.NewRecorder()}
}

// SetReadDeadline is for http.ResponseController.
func (w *DeadlineWriter) SetReadDeadline(t time.Time) error {
	w.Set, w.Last = true, t
	return nil
}
