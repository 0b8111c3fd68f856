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

// Operation describes an endpoint.
type Operation struct {
	// ID is the operationId, which is also the action in the audit log.
	ID     string
	Method string
	// Path is the route. It is also served with its trailing slash added or removed.
	Path string
	// Tag groups operations in the document. It selects the scope that an API key needs.
	Tag         string
	Summary     string
	Description string
	Access      Access
	// Unlimited documents that no rate limit applies.
	Unlimited bool
	// OptionalToken documents that anyone may call, with or without a token.
	OptionalToken bool
	// AnyKey lets API keys with any scopes call the operation. If the scope depends on the object, the
	// handler calls RequireScope.
	AnyKey bool
	// Status is the status of a successful reply. The default is 200, or 204 without a body.
	Status int
	// Request and Response are examples of the bodies.
	Request, Response any
	// MergePatch also accepts the body as application/merge-patch+json.
	MergePatch bool
	// Stream describes the server-sent events, if the operation can send any.
	Stream *Events
	// Errors are the codes that the operation can fail with, in addition to those that follow from
	// the other fields.
	Errors []core.Code
	// LateHash marks a repeatable operation whose handler adds the body to the hash of its Idempotency-Key, so that only
	// the write finds an earlier request.
	LateHash bool
	// Large marks an operation that can return megabytes. Options.Large limits how many of them a user runs at the
	// same time.
	Large bool

	// repeatable is set by RegisterRepeatable.
	repeatable bool
}

// Register adds an operation to the API and to the OpenAPI document.
func Register[I, O any](a *API, o Operation, handler func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: o.ID, Method: o.Method, Path: documentedPath(o.Path), Tags: []string{o.Tag},
		Summary: o.Summary, Description: o.Description, DefaultStatus: o.Status,
		Metadata: map[string]any{
			accessKey: o.Access, resourceKey: o.resource(), largeKey: o.Large, repeatableKey: o.repeatable,
			conditionalKey: o.conditional(),
		},
		Responses: map[string]*huma.Response{},
		Security:  []map[string][]string{},
		// bodyReader has its own limits, and removes its deadline after use.
		MaxBodyBytes: -1, BodyReadTimeout: -1,
	}
	if o.Access != Anyone {
		op.Security = []map[string][]string{{"bearer": {}}}
	}
	if o.OptionalToken {
		op.Security = []map[string][]string{{}, {"bearer": {}}}
	}
	if o.Request != nil {
		op.RequestBody = &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {Example: o.Request}}}
	}
	if o.Response != nil || o.Stream != nil {
		op.Responses[strconv.Itoa(max(o.Status, http.StatusOK))] = a.success(o)
	}
	a.DescribeErrors(o, op.Responses)
	if o.repeatable {
		describeKey(&op)
	}
	if o.conditional() {
		describeConditional(&op)
	}
	huma.Register(a.huma, op, handler)
	success := op.Responses[strconv.Itoa(max(o.Status, http.StatusOK))]
	if o.repeatable {
		describeReplayed(success)
	}
	if o.conditional() {
		describeETag(success)
	}
	if op.RequestBody != nil {
		content := op.RequestBody.Content
		op.Metadata[fieldsKey] = fieldNames(a.schemas(), content["application/json"].Schema)
		if o.MergePatch {
			content["application/merge-patch+json"] = content["application/json"]
		}
	}
}

// conditional reports whether the operation returns a single object, so that a client can use If-None-Match.
func (o Operation) conditional() bool {
	return o.Method == http.MethodGet && o.Stream == nil && o.Response != nil &&
		strings.HasSuffix(strings.TrimSuffix(o.Path, "/"), "}")
}

func (a *API) schemas() huma.Registry { return a.huma.OpenAPI().Components.Schemas }

// documentedPath returns the path in the OpenAPI document, which has no trailing slash.
func documentedPath(path string) string {
	if path == "/" {
		return path
	}
	return strings.TrimSuffix(path, "/")
}

// success returns the documentation of a successful reply.
func (a *API) success(o Operation) *huma.Response {
	r := &huma.Response{Description: http.StatusText(max(o.Status, http.StatusOK)), Content: map[string]*huma.MediaType{}}
	if o.Response != nil {
		r.Content["application/json"] = &huma.MediaType{
			Schema: a.schemas().Schema(reflect.TypeOf(o.Response), true, ""), Example: o.Response,
		}
	}
	if o.Stream != nil {
		r.Description += o.Stream.description()
		r.Content["text/event-stream"] = a.Union(o.Stream.Name, o.Stream.Types)
		// ogen cannot generate a server for streams that it decodes, and then generates nothing.
		r.Content["text/event-stream"].Extensions = map[string]any{"x-ogen-raw-response": true}
	}
	return r
}

// DescribeErrors adds every error that the operation can answer with to its documented responses.
func (a *API) DescribeErrors(o Operation, responses map[string]*huma.Response) {
	// Each operation refuses unknown query parameters.
	codes := append([]core.Code{core.CodeInternal, core.CodeUnavailable, core.CodeValidation}, o.Errors...)
	if !o.Unlimited {
		codes = append(codes, core.CodeRateLimited)
	}
	if o.Access != Anyone {
		codes = append(codes, core.CodeUnauthorized)
	}
	if o.Access == Writer || o.Access == Admin || o.Access == SignedIn && o.resource() != core.ResourceNone {
		codes = append(codes, core.CodeForbidden)
	}
	if o.Request != nil {
		codes = append(codes, core.CodePayloadTooLarge, core.CodeUnsupportedMediaType)
	}
	if strings.Contains(o.Path, "{") {
		codes = append(codes, core.CodeNotFound)
	}
	schema := a.schemas().Schema(errorType, true, "Error")
	slices.Sort(codes)
	for _, code := range slices.Compact(codes) {
		example := NewErrorReply(errorExamples[code], "req-123")
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

// fieldNames returns the sorted names of the properties that a body may contain, without the
// read-only ones.
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
