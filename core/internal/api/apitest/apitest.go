// Package apitest runs the API framework in tests, with fake users. A test of a group of resources
// registers the group with its own fakes and sends requests:
//
//	s := apitest.New(t)
//	usage.Register(s.API, store, limits)
//	s.Do(t, "ann", "GET", "/v1/usage", "").Want(200)
package apitest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// ErrPrivate is an error that is not a core.Error. Its text must not reach a client.
var ErrPrivate = errors.New("dial tcp 10.0.0.7:5432: password authentication failed")

// Server is an API for a test.
type Server struct {
	API *api.API
	// Auth is the Authenticator, unless Options replace it.
	Auth *Auth
	// Tokens are the tokens of the users.
	Tokens map[string]string
	// Audit has the audit records that were stored.
	Audit *Audit
	log   lockedBuffer
}

// New returns an API without operations. The functions may change its options.
//
// At its end, the test fails if an operation has succeeded and its audit record was not claimed. The
// fakes claim the records that they receive, as a store does. A handler that passes no record to its
// store would be audited after the change instead of together with it.
func New(t *testing.T, change ...func(*api.Options)) *Server {
	t.Helper()
	s := &Server{
		Auth: &Auth{}, Tokens: map[string]string{},
		Audit: &Audit{NoChange: []string{"move-files", "refresh", "reload-plugins"}},
	}
	t.Cleanup(func() { s.Audit.check(t) })
	o := api.Options{
		Auth: s.Auth, Audit: s.Audit, Keys: &keys{}, Version: "1.0.0", Logger: slog.New(slog.NewTextHandler(&s.log, nil)),
	}
	for _, f := range change {
		f(&o)
	}
	for name := range roles {
		s.Tokens[name] = "token-" + name
	}
	s.API = api.New(o)
	return s
}

// AddKey adds an API key of a user with scopes, and returns the name under which Do uses it.
func (s *Server) AddKey(user string, scopes ...string) (name string) {
	name = strings.Join(append([]string{user}, scopes...), "+")
	s.Tokens[name] = "token-" + name
	return name
}

// Log returns the text of the log.
func (s *Server) Log() string { return s.log.String() }

// Do sends a request as a user, or without a token if who is empty. Each header is "Name: value".
func (s *Server) Do(t *testing.T, who, method, path, body string, headers ...string) *Answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+s.Tokens[who])
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.API.Handler().ServeHTTP(w, r)
	a := &Answer{ResponseRecorder: w, t: t}
	a.checkError()
	return a
}

// Start starts an HTTP server that serves the API until the test ends.
func (s *Server) Start(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(s.API.Handler())
	t.Cleanup(server.Close)
	return server
}

// Answer is a recorded reply.
type Answer struct {
	*httptest.ResponseRecorder
	t *testing.T
}

// Want fails the test unless the reply has the status.
func (a *Answer) Want(status int) *Answer {
	a.t.Helper()
	if a.Code != status {
		a.t.Fatalf("got status %d, want %d: %s", a.Code, status, a.Body)
	}
	return a
}

// JSON returns the decoded body.
func (a *Answer) JSON() map[string]any {
	a.t.Helper()
	var v map[string]any
	if err := json.Unmarshal(a.Body.Bytes(), &v); err != nil {
		a.t.Fatalf("decode %s: %v", a.Body, err)
	}
	return v
}

// Failure returns the error in the body.
func (a *Answer) Failure() api.Failure {
	a.t.Helper()
	var e api.ErrorReply
	if err := json.Unmarshal(a.Body.Bytes(), &e); err != nil || e.Failure.Code == "" {
		a.t.Fatalf("got %s (%v), want an error", a.Body, err)
	}
	return e.Failure
}

// checkError fails the test if the reply is an error that is incomplete: without its code, message or request id, with
// a wrong use of a format in its text, or, for a VALIDATION_ERROR, without the field at fault.
func (a *Answer) checkError() {
	a.t.Helper()
	if a.Code < http.StatusBadRequest || a.Body.Len() == 0 || a.Header().Get("Content-Encoding") != "" {
		return
	}
	f := a.Failure()
	d := f.Details
	switch {
	case f.Message == "" || f.RequestID == "" || f.RequestID != a.Header().Get("X-Request-ID"):
		a.t.Errorf("got %s, want an error with its message and the id of the request", a.Body)
	case strings.Contains(a.Body.String(), "%!"):
		a.t.Errorf("got %s, which has a wrong use of a format", a.Body)
	case f.Code == core.CodeValidation && (d.Field == "" || d.Issue == ""):
		a.t.Errorf("got %s, want the field at fault", a.Body)
	}
}

// WantPublicError fails the test if err would be answered with a server error or without a message.
func WantPublicError(t *testing.T, err error) {
	t.Helper()
	if r := api.NewErrorReply(err, "req-1"); r.GetStatus() >= http.StatusInternalServerError || r.Failure.Message == "" {
		t.Errorf("%v is answered with %d %q", err, r.GetStatus(), r.Failure.Message)
	}
}

// Page returns a page of all.
func Page[T any](all []T, p core.Page) []T {
	from := min(p.Offset, len(all))
	return all[from:min(from+p.Limit, len(all))]
}

// Audit keeps in memory the audit entries that were not stored with a change.
type Audit struct {
	// NoChange are the IDs of the operations that can succeed without a change of the store.
	NoChange []string

	mu      sync.Mutex
	entries []*core.AuditEntry
}

// Entries returns a copy of the entries so far.
func (a *Audit) Entries() []*core.AuditEntry {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.entries)
}

// Record implements api.AuditStore.
func (a *Audit) Record(_ context.Context, e *core.AuditEntry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries = append(a.entries, e)
	return nil
}

// check fails the test if it has the entry of a change.
func (a *Audit) check(t *testing.T) {
	t.Helper()
	for _, e := range a.Entries() {
		if e.Outcome == core.OutcomeDone && !slices.Contains(a.NoChange, e.Action) {
			t.Errorf("the handler of %s passed no audit record to its store: pass api.Audit(ctx)", e.Action)
		}
	}
}

// lockedBuffer is a buffer for parallel requests.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// NewAnswer returns the reply that a test has recorded itself.
func NewAnswer(t *testing.T, w *httptest.ResponseRecorder) *Answer {
	return &Answer{ResponseRecorder: w, t: t}
}
