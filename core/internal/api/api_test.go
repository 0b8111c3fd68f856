package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

type thing struct {
	Name string `json:"name" minLength:"1"`
	Kind string `json:"kind,omitempty"`
}

type (
	thingInput  struct{ Body thing }
	thingOutput struct{ Body thing }
	idInput     struct {
		ID string `path:"thing_id"`
	}
)

// newThings returns an API with operations on things: PUT /things repeats its body, GET /things/{id} calls
// get, and GET /things/{id}/events streams events.
func newThings(
	t *testing.T, get func(id string) error, events core.EventStream, change ...func(*api.Options),
) *apitest.Server {
	t.Helper()
	s := apitest.New(t, change...)
	s.Audit.NoChange = append(s.Audit.NoChange, "put-thing")
	api.Register(s.API, api.Operation{
		ID: "put-thing", Method: http.MethodPut, Path: "/things",
		Tag: "Things", Access: api.Writer, Request: thing{}, Response: thing{},
	}, func(_ context.Context, in *thingInput) (*thingOutput, error) { return &thingOutput{Body: in.Body}, nil })
	api.Register(s.API, api.Operation{
		ID: "get-thing", Method: http.MethodGet, Path: "/things/{thing_id}",
		Tag: "Things", Access: api.SignedIn, Response: thing{},
	}, func(_ context.Context, in *idInput) (*thingOutput, error) { return &thingOutput{}, get(in.ID) })
	api.Register(s.API, api.Operation{
		ID: "thing-events", Method: http.MethodGet, Path: "/things/{thing_id}/events",
		Tag: "Things", Access: api.SignedIn, Stream: api.RunEvents,
	}, func(ctx context.Context, _ *idInput) (*huma.StreamResponse, error) {
		return s.API.Stream(ctx, events), nil
	})
	return s
}

func noError(string) error { return nil }

func TestRequestIDsAreSafeToLog(t *testing.T) {
	t.Parallel()
	s := newThings(t, noError, nil)
	for _, id := range []string{"a b", "a\r\nlevel=ERROR", strings.Repeat("a", 65), "ü"} {
		got := s.Do(t, "", "GET", "/things/1", "", "X-Request-ID: "+id).Header().Get("X-Request-ID")
		if !strings.HasPrefix(got, "req-") {
			t.Errorf("X-Request-ID %q became %q, want a new id", id, got)
		}
	}
}

func TestUnknownEndpoint(t *testing.T) {
	t.Parallel()
	s := newThings(t, noError, nil)
	f := s.Do(t, "ann", "GET", "/thing", "").Want(404).Failure()
	if want := "No such endpoint: GET /thing. See /docs for the API."; f.Message != want {
		t.Errorf("got message %q, want %q", f.Message, want)
	}
	a := s.Do(t, "ann", "DELETE", "/things/1", "").Want(405)
	if got := a.Header().Get("Allow"); got != "GET, HEAD" {
		t.Errorf("got Allow %q", got)
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	s := newThings(t, noError, nil)
	s.Do(t, "", "PUT", "/things", `{"name":"a"}`).Want(401)
	s.Do(t, "eve", "PUT", "/things", `{"name":"a"}`).Want(403)
	s.Do(t, "ann", "PUT", "/things/", `{"name":"a"}`).Want(200)
	s.Do(t, "eve", "GET", "/things/1", "").Want(200)
	if n := len(s.Audit.Entries()); n != 3 {
		t.Errorf("got %d audit records, want those of both refusals and of the change", n)
	}
}

func TestUnknownField(t *testing.T) {
	t.Parallel()
	s := newThings(t, noError, nil)
	for field, want := range map[string]string{
		"nam": `Unknown field "nam". Did you mean "name"?`, "colour": `Unknown field "colour". Known fields: kind, name`,
	} {
		f := s.Do(t, "ann", "PUT", "/things", `{"name":"a","`+field+`":1}`).Want(400).Failure()
		if f.Details.Field != field || f.Details.Issue != want {
			t.Errorf("got %+v, want issue %q", f.Details, want)
		}
	}
	if f := s.Do(t, "ann", "PUT", "/things", `{"name":""}`).Want(400).Failure(); f.Details.Issue != "Must not be empty" {
		t.Errorf("got %+v", f.Details)
	}
}

// The reply and the log line for a body with many errors are short.
func TestFieldErrorsAreLimited(t *testing.T) {
	t.Parallel()
	s := newThings(t, noError, nil)
	var fields strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&fields, `"f%d":1,`, i)
	}
	r := s.Do(t, "ann", "PUT", "/things", "{"+fields.String()+`"name":7}`).Want(400)
	if n := strings.Count(r.Body.String(), `"field"`); n != api.MaxFieldErrors+1 {
		t.Errorf("got %d invalid fields, want %d", n, api.MaxFieldErrors+1)
	}
}

func TestPrivateErrorsAreOnlyLogged(t *testing.T) {
	t.Parallel()
	s := newThings(t, func(string) error { return apitest.ErrPrivate }, nil)
	a := s.Do(t, "ann", "GET", "/things/1", "", "X-Request-ID: req-7").Want(500)
	if a.Failure().Message != "Internal server error" || strings.Contains(a.Body.String(), "10.0.0.7") {
		t.Errorf("got %s", a.Body)
	}
	if l := s.Log(); !strings.Contains(l, "10.0.0.7") || !strings.Contains(l, "request_id=req-7") {
		t.Errorf("got log %s", l)
	}
}

func TestPanicIsAnswered500(t *testing.T) {
	t.Parallel()
	s := newThings(t, func(string) error { panic("boom") }, nil)
	f := s.Do(t, "ann", "GET", "/things/1", "").Want(500).Failure()
	if f.Code != core.CodeInternal || !strings.Contains(s.Log(), "recovered from a panic") {
		t.Errorf("got %+v and log %s", f, s.Log())
	}
}

func TestDisconnectedClientIsNoError(t *testing.T) {
	t.Parallel()
	s := newThings(t, noError, nil)
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/things/1", nil)
	r.Header.Set("Authorization", "Bearer "+s.Tokens["ann"])
	s.API.Handler().ServeHTTP(failingWriter{httptest.NewRecorder()}, r)
	if l := s.Log(); strings.Contains(l, "panic") || !strings.Contains(l, "status=200") {
		t.Errorf("got log %s", l)
	}
}

// failingWriter is the connection of a client that has disconnected.
type failingWriter struct{ *httptest.ResponseRecorder }

func (failingWriter) Write([]byte) (int, error) { return 0, http.ErrHandlerTimeout }

// A read deadline that stays on the connection would end the context of a long request.
func TestReadDeadlineIsCleared(t *testing.T) {
	t.Parallel()
	s := newThings(t, noError, nil)
	r := httptest.NewRequestWithContext(t.Context(), "PUT", "/things", strings.NewReader(`{"name":"a"}`))
	r.Header.Set("Authorization", "Bearer "+s.Tokens["ann"])
	w := apitest.NewDeadlineWriter()
	s.API.Handler().ServeHTTP(w, r)
	if !w.Set || !w.Last.IsZero() {
		t.Errorf("got read deadline %v at the end, want none", w.Last)
	}
}

func TestNewErrorReply(t *testing.T) {
	t.Parallel()
	for code, status := range map[core.Code]int{
		"VALIDATION_ERROR": 400, "UNAUTHORIZED": 401, "FORBIDDEN": 403, "NOT_FOUND": 404, "METHOD_NOT_ALLOWED": 405,
		"CONFLICT": 409, "PRECONDITION_FAILED": 412, "PAYLOAD_TOO_LARGE": 413,
		"UNSUPPORTED_MEDIA_TYPE": 415, "RATE_LIMITED": 429,
		"INTERNAL_ERROR": 500, "UPSTREAM_ERROR": 502, "SERVICE_UNAVAILABLE": 503, "UPSTREAM_TIMEOUT": 504,
		"INSUFFICIENT_STORAGE": 507,
	} {
		if got := api.NewErrorReply(&core.Error{Code: code}, "").GetStatus(); got != status {
			t.Errorf("status of %s = %d, want %d", code, got, status)
		}
	}
	if e := api.NewErrorReply(&http.MaxBytesError{Limit: 7}, ""); e.GetStatus() != 413 {
		t.Errorf("status of a MaxBytesError = %d, want 413", e.GetStatus())
	}
	var decoded api.ErrorReply
	if err := json.Unmarshal([]byte(`{"error":{"code":"X"}}`), &decoded); err != nil || errors.Unwrap(&decoded) != nil {
		t.Errorf("decode an error: got %v with cause %v", err, errors.Unwrap(&decoded))
	}
}
