package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
	"github.com/agentarea/agentarea/sdk"
)

type listInput struct {
	Status string `query:"status" enum:"a,b"`
	api.Page
}

// A misspelled parameter is not ignored: its error names the parameters that exist.
func TestUnknownQueryParameters(t *testing.T) {
	t.Parallel()
	s := newThings(t, noError, nil)
	api.Register(s.API, api.Operation{
		ID: "list-things", Method: http.MethodGet, Path: "/things", Tag: "Things", Access: api.SignedIn, Response: thing{},
	}, func(context.Context, *listInput) (*thingOutput, error) { return &thingOutput{}, nil })
	for _, path := range []string{"/things?status=a&limit=5", "/things/?", "/things?&", "/things?offset=", "/things/1"} {
		s.Do(t, "ann", "GET", path, "").Want(200)
	}
	const known = " Known parameters: cursor, limit, offset, status"
	for query, want := range map[string]core.FieldError{
		"lmit=5":              {Field: "lmit", Issue: `Unknown query parameter "lmit". Did you mean "limit"?` + known},
		"status=a&Limit=5":    {Field: "Limit", Issue: `Unknown query parameter "Limit". Did you mean "limit"?` + known},
		"page=2":              {Field: "page", Issue: `Unknown query parameter "page".` + known},
		"=2":                  {Field: "query", Issue: `Unknown query parameter "".` + known},
		"limit=1&limit=2":     {Field: "limit", Issue: "Must be sent only once"},
		"limit=1;offset=2":    {Field: "query", Issue: "Must be a valid query string, such as ?limit=10&offset=20."},
		"status=%zz":          {Field: "query", Issue: "Must be a valid query string"},
		"a%00%ff%25s%25d=100": {Field: "a\x00\uFFFD%s%d", Issue: "Unknown query parameter \"a\\x00\uFFFD%s%d\"." + known},
	} {
		f := s.Do(t, "ann", "GET", "/things?"+query, "").Want(400).Failure()
		if f.Code != core.CodeValidation || f.Details.Field != want.Field || !strings.HasPrefix(f.Details.Issue, want.Issue) {
			t.Errorf("GET /things?%s: got %+v, want %+v", query, f, want)
		}
	}
	f := s.Do(t, "ann", "GET", "/things?b=1&a=1", "").Want(400).Failure()
	if len(f.Details.Errors) != 2 || f.Details.Field != "a" {
		t.Errorf("got %+v, want the errors of a and b", f.Details)
	}
	f = s.Do(t, "ann", "PUT", "/things?dry_run=true", `{"name":"a"}`).Want(400).Failure()
	if want := `Unknown query parameter "dry_run". This endpoint has no query parameters.`; f.Details.Issue != want {
		t.Errorf("got %q, want %q", f.Details.Issue, want)
	}
}

// Every code has an example in the OpenAPI document. It names the field or the object if one is at fault.
func TestErrorExamples(t *testing.T) {
	t.Parallel()
	known := []core.Code{
		core.CodeValidation, core.CodeNotFound, core.CodeConflict, core.CodePreconditionFailed, core.CodePayloadTooLarge,
		core.CodeUnsupportedMediaType,
	}
	for code, e := range api.ErrorExamples {
		r := api.NewErrorReply(e, "req-1")
		if r.Failure.Code != code || r.Failure.Message == "" || strings.Contains(r.Failure.Message, "%!") {
			t.Errorf("example of %s = %+v, want its code and a message", code, r.Failure)
		}
		for _, k := range known {
			if d := r.Failure.Details; k == code && d.Field == "" && d.ID == "" {
				t.Errorf("details of the example of %s = %+v, want a field or an object", code, d)
			}
		}
	}
}

func TestFailureDetails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"nothing": {core.Conflict("It is late"), `{}`},
		"a field": {core.Invalid("name", "Must not be empty"), `{"field":"name","issue":"Must not be empty"}`},
		"an object in the path": {
			core.NotFound("thing", "1"), `{"field":"thing_id","issue":"thing \"1\" not found","object":"thing","id":"1"}`,
		},
		"another object": {core.NotFound("user", "user-1"), `{"object":"user","id":"user-1"}`},
		"a field and an object": {
			core.Conflict("The slug is in use").WithField("slug").WithObject("thing", "2"),
			`{"field":"slug","issue":"The slug is in use","object":"thing","id":"2"}`,
		},
		"a run": {core.OfRun(core.Unavailable("Stopping"), "run-1"), `{"run_id":"run-1"}`},
		"a failed run": {
			core.OfRun(core.Conflict("x").WithRun(core.RunRef{ID: "run-2", Reason: sdk.CodeTimeout, Retryable: true}), "run-1"),
			`{"run_id":"run-2","reason":"timeout","retryable":true}`,
		},
		"an internal error of a run": {core.OfRun(apitest.ErrPrivate, "run-1"), `{"run_id":"run-1"}`},
	} {
		s := newThings(t, func(string) error { return c.err }, nil)
		a := s.Do(t, "ann", "GET", "/things/1", "")
		var got struct {
			Error struct{ Details json.RawMessage }
		}
		if err := json.Unmarshal(a.Body.Bytes(), &got); err != nil || string(got.Error.Details) != c.want {
			t.Errorf("%s: got %s (%v), want details %s", name, a.Body, err, c.want)
		}
	}
}

type formats struct {
	Email string   `json:"email" format:"email"`
	At    string   `json:"at" format:"date-time"`
	Day   string   `json:"day" format:"date"`
	One   string   `json:"one" maxLength:"1"`
	Few   string   `json:"few" maxLength:"2"`
	Code  string   `json:"code" pattern:"^[a-z]%d$"`
	Rate  string   `json:"rate" pattern:"^a$" patternDescription:"Must be 100% or %s"`
	Level string   `json:"level" enum:"50%,%d"`
	Item  []string `json:"item" maxItems:"1"`
	Items []string `json:"items" minItems:"2"`
	Count int      `json:"count" minimum:"2"`
}

type formatsInput struct{ Body formats }

// The messages of Huma are formats, some with arguments.
func TestHumaMessages(t *testing.T) {
	t.Parallel()
	s := apitest.New(t)
	api.Register(s.API, api.Operation{
		ID: "put-formats", Method: http.MethodPut, Path: "/formats", Tag: "Things", Access: api.Writer, Request: formats{},
	}, func(context.Context, *formatsInput) (*struct{}, error) {
		return nil, huma.Error400BadRequest("not reached")
	})
	body := `{"email":"ann%d","at":"noon","day":"today","one":"ab","few":"abc","code":"A","rate":"b","level":"c",` +
		`"item":["a","b"],"items":["a"],"count":1}`
	f := s.Do(t, "ann", "PUT", "/formats", body).Want(400).Failure()
	want := map[string]string{
		"email": "Must be an email address such as name@example.com", "at": "Must be a time such as 2026-11-30T12:00:00Z",
		"day": "Must be a date such as 2026-11-30", "one": "Must be at most 1 character long",
		"few": "Must be at most 2 characters long", "code": "Must match the regular expression ^[a-z]%d$",
		"rate": "Must be 100% or %s", "level": "Must be one of: 50%, %d", "item": "Must contain at most 1 item",
		"items": "Must contain at least 2 items", "count": "Must be at least 2",
	}
	for _, e := range f.Details.Errors {
		if e.Issue != want[e.Field] {
			t.Errorf("issue of %s = %q, want %q", e.Field, e.Issue, want[e.Field])
		}
		delete(want, e.Field)
	}
	if len(want) > 0 {
		t.Errorf("no errors for %v in %+v", want, f.Details)
	}
}

// The error event of a run has the id of the request that reads it.
func TestStream_errorOfRun(t *testing.T) {
	t.Parallel()
	const stored = `{"type":"error","run_id":"run-1","error":{"code":"UPSTREAM_ERROR","message":"a < b",` +
		`"details":{"reason":"timeout","retryable":false,"run_id":"run-1"}}}`
	s := newThings(t, noError, &apitest.Events{Batches: [][]core.Event{{
		apitest.Event(1, `{"type":"token","content":"{\"type\":\"error\"}"}`), apitest.Event(2, stored),
	}}})
	got := s.Do(t, "ann", "GET", eventsPath, "", "X-Request-ID: req-1").Want(200).Body.String()
	want := `id: 1` + "\n" + `data: {"type":"token","content":"{\"type\":\"error\"}"}` + "\n\nid: 2\n" +
		`data: {"type":"error","run_id":"run-1","error":{"code":"UPSTREAM_ERROR","message":"a < b",` +
		`"details":{"run_id":"run-1","reason":"timeout","retryable":false},"request_id":"req-1"}}` + "\n\n"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
