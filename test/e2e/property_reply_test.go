package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
)

// check returns an error if a reply does not match the OpenAPI document.
func (e *env) check(d drawn, r *reply) error {
	if err := checkHeaders(r); err != nil {
		return err
	}
	if r.status == http.StatusInternalServerError {
		return errors.New("got status 500")
	}
	if r.status >= 400 && d.method != http.MethodHead {
		if err := e.checkFailure(r); err != nil {
			return err
		}
	}
	documented := d.method
	if d.method == http.MethodHead && d.route.Method == http.MethodGet {
		documented = http.MethodGet
	}
	if documented != d.route.Method {
		return e.checkOtherMethod(d, r)
	}
	if d.route.Operation.Responses.Status(r.status) == nil {
		return fmt.Errorf("%s does not document status %d", d.operation, r.status)
	}
	if d.method == http.MethodHead {
		if len(r.body) > 0 {
			return errors.New("a reply to HEAD has a body")
		}
		return nil
	}
	return e.validate(d, r)
}

// validate validates a reply with openapi3filter. It also rejects a body where none is documented,
// which openapi3filter accepts.
func (e *env) validate(d drawn, r *reply) error {
	content := d.route.Operation.Responses.Status(r.status).Value.Content
	if len(content) == 0 {
		if len(r.body) > 0 && r.status != http.StatusTemporaryRedirect {
			return fmt.Errorf("%s has a body with status %d", d.operation, r.status)
		}
		return nil
	}
	if strings.HasPrefix(r.header.Get("Content-Type"), "text/event-stream") {
		if content["text/event-stream"] == nil {
			return fmt.Errorf("%s documents no stream", d.operation)
		}
		return checkEvents(r.body, streamSchema(d.route.Path))
	}
	if file := content["*/*"]; file != nil && file.Schema.Value.Format == "binary" &&
		content[r.header.Get("Content-Type")] == nil {
		return nil // any bytes are valid
	}
	req, err := http.NewRequest(d.method, e.server.url+d.target, nil)
	if err != nil {
		return err
	}
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: req, PathParams: d.pathValues, Route: d.route,
		},
		Status: r.status, Header: r.header, Body: io.NopCloser(bytes.NewReader(r.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
}

// checkOtherMethod checks the reply to a method that is not the operation's.
func (e *env) checkOtherMethod(d drawn, r *reply) error {
	method := d.method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, op := range e.operations {
		if op.route.Method == method && matches(op.route.Path, d.route.Path) {
			if op.route.Operation.Responses.Status(r.status) == nil {
				return fmt.Errorf("%s does not document status %d", op, r.status)
			}
			return nil
		}
	}
	if r.status != http.StatusMethodNotAllowed {
		return fmt.Errorf("%s of %s is not documented, but the status is not 405", d.method, d.route.Path)
	}
	if !slices.Contains(strings.Split(r.header.Get("Allow"), ", "), d.route.Method) {
		return fmt.Errorf("got Allow %q, want the documented method", r.header.Get("Allow"))
	}
	return nil
}

// matches reports whether a path template matches a path, as /v1/files/{file_id} matches
// /v1/files/upload.
func matches(template, path string) bool {
	a, b := strings.Split(strings.Trim(template, "/"), "/"), strings.Split(strings.Trim(path, "/"), "/")
	return slices.EqualFunc(a, b, func(a, b string) bool { return a == b || strings.HasPrefix(a, "{") })
}

// checkFailure checks that a reply has the documented error.
func (e *env) checkFailure(r *reply) error {
	var v any
	if err := json.Unmarshal(r.body, &v); err != nil {
		return fmt.Errorf("the error is not JSON: %w", err)
	}
	if err := e.failure.Value.VisitJSON(v, openapi3.EnableJSONSchema2020()); err != nil {
		return err
	}
	var body struct{ Error failure }
	if err := json.Unmarshal(r.body, &body); err != nil {
		return err
	}
	if f := body.Error; f.Code == "" || f.Message == "" || f.RequestID != r.header.Get("X-Request-Id") {
		return fmt.Errorf("got error %+v, want code, message and request id", f)
	}
	if (r.status == http.StatusUnauthorized) != (r.header.Get("WWW-Authenticate") != "") {
		return errors.New("status 401 without WWW-Authenticate, or the other way round")
	}
	return nil
}

func checkHeaders(r *reply) error {
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"} {
		if r.header.Get(name) != want {
			return fmt.Errorf("got %s %q", name, r.header.Get(name))
		}
	}
	if id := r.header.Get("X-Request-Id"); id == "" || len(id) > 64 {
		return fmt.Errorf("got X-Request-ID %q", id)
	}
	if r.header.Get("X-Injected") != "" {
		return errors.New("a header was injected")
	}
	return nil
}

// checkEvents checks that each complete event has the schema, and that the events of a run are numbered upwards.
func checkEvents(body []byte, schema string) error {
	complete := body[:bytes.LastIndexByte(body, '\n')+1]
	last := int64(-1)
	for line := range strings.Lines(string(complete)) {
		line = strings.TrimSuffix(line, "\n")
		switch name, value, _ := strings.Cut(line, ":"); name {
		case "data":
			if err := checkSchema(schema, value); err != nil {
				return fmt.Errorf("the event %q: %w", line, err)
			}
		case "id":
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err != nil || n <= last {
				return fmt.Errorf("the event id %q after %d", value, last)
			}
			last = n
		case "", "event", "retry":
		default:
			return fmt.Errorf("the line %q of a stream", line)
		}
	}
	return nil
}
