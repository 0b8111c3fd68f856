package apitest

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

// roles are the users of a test: root is an admin, ann and bob are members, and eve is a viewer. The id
// of ann is user-ann.
var roles = map[string]core.Role{
	"root": core.RoleAdmin, "ann": core.RoleMember, "bob": core.RoleMember, "eve": core.RoleViewer,
}

// Auth is an api.Authenticator for the users of a test.
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
	role, ok := roles[name]
	if !ok || a.ended[name] {
		return nil, &core.Error{Code: core.CodeUnauthorized, Message: "Invalid token"}
	}
	return &core.Principal{
		User:    &core.User{ID: "user-" + name, Username: name, Email: name + "@example.com", Role: role},
		LoginID: "login-" + name,
	}, nil
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

// Add adds an agent of a user, which the functions may change.
func (a Agents) Add(id, owner string, change ...func(*core.Agent)) {
	at := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	ag := &core.Agent{
		ID: id, Name: "chat-assistant", Description: "General purpose chat agent", Type: "chat", Status: core.AgentActive,
		Config: json.RawMessage(`{"model":"gpt-4","temperature":0.7}`), Model: "gpt-4", Version: 1, CreatedBy: "user-" + owner,
		CreatedAt: at, UpdatedAt: at,
	}
	for _, f := range change {
		f(ag)
	}
	a[id] = ag
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
