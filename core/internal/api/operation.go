package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

// operation is an endpoint as this package describes it.
type operation struct {
	id      string
	method  string
	path    string
	tag     string
	summary string
	about   string
	access  access
	// unlimited says that no rate limit counts it.
	unlimited bool
	// tokenToo says that anyone may call, and that a token is of use.
	tokenToo bool
	// anyKey says that an API key needs no scope to call.
	anyKey bool
	// status is that of success; 200 unless set, or 204 without a body.
	status int
	// request and response are examples of the bodies.
	request, response any
	// stream is an example of the events, if the operation can send any.
	stream string
	// errors are what the operation can fail with besides what follows from the rest.
	errors []core.Code
}

// register adds an operation to the API and to its document.
func register[I, O any](a *api, o operation, handler func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: o.id, Method: o.method, Path: o.path, Tags: []string{o.tag},
		Summary: o.summary, Description: o.about, DefaultStatus: o.status,
		Metadata:  map[string]any{accessKey: o.access, resourceKey: o.resource()},
		Responses: map[string]*huma.Response{},
		// readBody keeps its own limits, and takes its deadline off again.
		MaxBodyBytes: -1, BodyReadTimeout: -1,
	}
	if o.access != anyone {
		op.Security = []map[string][]string{{"bearer": {}}}
	}
	if o.tokenToo {
		op.Security = []map[string][]string{{}, {"bearer": {}}}
	}
	if o.request != nil {
		op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {Example: o.request}}}
	}
	if o.response != nil || o.stream != "" {
		op.Responses[strconv.Itoa(max(o.status, http.StatusOK))] = o.success(a)
	}
	o.describeErrors(a, op.Responses)
	huma.Register(a.huma, op, handler)
	if op.RequestBody != nil {
		op.Metadata[fieldsKey] = fieldNames(a.huma.OpenAPI().Components.Schemas, op.RequestBody.Content["application/json"].Schema)
	}
}

func (o operation) success(a *api) *huma.Response {
	r := &huma.Response{Description: http.StatusText(max(o.status, http.StatusOK)), Content: map[string]*huma.MediaType{}}
	if o.response != nil {
		r.Content["application/json"] = &huma.MediaType{
			Schema:  a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(o.response), true, ""),
			Example: o.response,
		}
	}
	if o.stream != "" {
		r.Content["text/event-stream"] = &huma.MediaType{
			Schema: &huma.Schema{
				Type: huma.TypeString, Description: "Server-sent events: each has a JSON object with a type as data, and those of a run have an id, its number there.",
			},
			Example: o.stream,
		}
	}
	return r
}

// describeErrors documents every error that the operation can answer with.
func (o operation) describeErrors(a *api, responses map[string]*huma.Response) {
	codes := append([]core.Code{core.CodeInternal, core.CodeUnavailable}, o.errors...)
	if !o.unlimited {
		codes = append(codes, core.CodeRateLimited)
	}
	if o.access != anyone {
		codes = append(codes, core.CodeUnauthorized)
	}
	if o.access == writer || o.access == admin || o.access == signedIn && o.resource() != core.ResourceNone {
		codes = append(codes, core.CodeForbidden)
	}
	if o.request != nil {
		codes = append(codes, core.CodeValidation, core.CodePayloadTooLarge, core.CodeUnsupportedMediaType)
	}
	if strings.Contains(o.path, "{") {
		codes = append(codes, core.CodeNotFound, core.CodeValidation)
	}
	schema := a.huma.OpenAPI().Components.Schemas.Schema(errorType, true, "Error")
	slices.Sort(codes)
	for _, code := range slices.Compact(codes) {
		example := reply(errorExamples[code], "req-123")
		response := &huma.Response{
			Description: string(code) + ": " + codeMeanings[code],
			Content:     map[string]*huma.MediaType{"application/json": {Schema: schema, Example: example}},
		}
		if code == core.CodeRateLimited {
			response.Headers = limitHeaders()
		}
		responses[strconv.Itoa(example.status)] = response
	}
}

// fieldNames are the names that an object of the schema may have and that are not read-only.
func fieldNames(r huma.Registry, s *huma.Schema) []string {
	for s.Ref != "" {
		s = r.SchemaFromRef(s.Ref)
	}
	var names []string
	for name, p := range s.Properties {
		if !p.ReadOnly {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// bodyFields are the names that the body of an operation may have.
func bodyFields(op *huma.Operation) []string {
	names, _ := op.Metadata[fieldsKey].([]string)
	return names
}
