package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

// errorReply is the contract's error.
type errorReply struct {
	Failure    failure `json:"error"`
	status     int
	retryAfter time.Duration
	cause      error
}

type failure struct {
	Code    core.Code      `json:"code" doc:"The kind of the error, for programs"`
	Message string         `json:"message" doc:"What is wrong, for people"`
	Details failureDetails `json:"details"`
	// RequestID names the request in the server's log.
	RequestID string `json:"request_id" doc:"Names the request in the server's log; also the X-Request-ID header"`
}

type failureDetails struct {
	Field  string            `json:"field,omitempty" doc:"The dotted path of the field, or the parameter, that is wrong"`
	Issue  string            `json:"issue,omitempty" doc:"What is wrong with it, and what to write instead"`
	Errors []core.FieldError `json:"errors,omitempty" doc:"All that is wrong, when it is more than one thing"`
}

func (e *errorReply) Error() string {
	if e.cause != nil {
		return e.cause.Error()
	}
	return string(e.Failure.Code) + ": " + e.Failure.Message
}

func (e *errorReply) Unwrap() error  { return e.cause }
func (e *errorReply) GetStatus() int { return e.status }

// ContentType keeps Huma from sending errors as problem+json.
func (e *errorReply) ContentType(string) string { return "application/json" }

// statuses maps every code to its HTTP status.
var statuses = map[core.Code]int{
	core.CodeValidation:           http.StatusBadRequest,
	core.CodeUnauthorized:         http.StatusUnauthorized,
	core.CodeForbidden:            http.StatusForbidden,
	core.CodeNotFound:             http.StatusNotFound,
	core.CodeMethodNotAllowed:     http.StatusMethodNotAllowed,
	core.CodeConflict:             http.StatusConflict,
	core.CodePreconditionFailed:   http.StatusPreconditionFailed,
	core.CodePayloadTooLarge:      http.StatusRequestEntityTooLarge,
	core.CodeUnsupportedMediaType: http.StatusUnsupportedMediaType,
	core.CodeRateLimited:          http.StatusTooManyRequests,
	core.CodeInternal:             http.StatusInternalServerError,
	core.CodeUpstream:             http.StatusBadGateway,
	core.CodeUnavailable:          http.StatusServiceUnavailable,
	core.CodeUpstreamTimeout:      http.StatusGatewayTimeout,
	core.CodeInsufficientStorage:  http.StatusInsufficientStorage,
}

// reply maps any error to what the caller may know of it.
func reply(err error, requestID string) *errorReply {
	e := shown(err)
	status, ok := statuses[e.Code]
	if !ok || e.Code == core.CodeInternal {
		e = &core.Error{Code: core.CodeInternal, Message: "Internal server error"}
		status = http.StatusInternalServerError
	}
	r := &errorReply{
		Failure: failure{Code: e.Code, Message: e.Message, RequestID: requestID},
		status:  status, retryAfter: e.RetryAfter, cause: err,
	}
	if len(e.Fields) > 0 {
		r.Failure.Details.Field, r.Failure.Details.Issue = e.Fields[0].Field, e.Fields[0].Issue
	}
	if len(e.Fields) > 1 {
		r.Failure.Details.Errors = e.Fields
	}
	return r
}

// shown is the core.Error in err's chain, or what stands for it.
func shown(err error) *core.Error {
	var e *core.Error
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &tooLong):
		return tooLarge(tooLong.Limit)
	case errors.Is(err, context.Canceled):
		return core.Unavailable("The request was cancelled")
	case errors.Is(err, context.DeadlineExceeded):
		return core.Unavailable("The request took too long: try again")
	default:
		return &core.Error{Code: core.CodeInternal}
	}
}

func tooLarge(limit int64) *core.Error {
	return &core.Error{
		Code: core.CodePayloadTooLarge, Message: fmt.Sprintf("The request body is over the limit of %d bytes", limit),
	}
}

// prepare sets the error's headers, and notes it for the log.
func (e *errorReply) prepare(req *request, set func(name, value string)) {
	if req != nil {
		req.err = e
	}
	if e.retryAfter > 0 {
		set("Retry-After", strconv.Itoa(int(math.Ceil(e.retryAfter.Seconds()))))
	}
	if e.status == http.StatusUnauthorized {
		set("WWW-Authenticate", `Bearer realm="agentarea"`)
	}
}

// writeError answers outside of Huma.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	req := requestOf(r.Context())
	writeReply(w, req, reply(err, req.id))
}

func writeReply(w http.ResponseWriter, req *request, e *errorReply) {
	e.prepare(req, w.Header().Set)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	_ = json.NewEncoder(w).Encode(e) // the client may be gone
}

// humaError stands for every error that goes through Huma: its own about the
// input, and those of handlers.
func humaError(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
	err := humaCause(ctx, status, message, errs)
	if ctx == nil {
		return reply(err, "")
	}
	req := requestOf(ctx.Context())
	e := reply(err, req.id)
	e.prepare(req, ctx.SetHeader)
	return e
}

// maxFaults is how many faults of a request are told: it may have one in each of
// its bytes.
const maxFaults = 50

func humaCause(ctx huma.Context, status int, message string, errs []error) error {
	if status >= http.StatusInternalServerError || status == 0 {
		return errors.Join(errs...)
	}
	e := &core.Error{Code: core.CodeValidation, Message: "Invalid request data"}
	for _, err := range errs {
		var d *huma.ErrorDetail
		var own *core.Error
		switch {
		case errors.As(err, &d):
			e.Fields = append(e.Fields, fieldError(ctx, d))
		case errors.As(err, &own):
			e.Fields = append(e.Fields, own.Fields...)
		}
	}
	// Huma finds unknown fields in the order of a map.
	slices.SortStableFunc(e.Fields, func(a, b core.FieldError) int {
		return strings.Compare(unknownLast(a), unknownLast(b))
	})
	e.Fields = e.Fields[:min(len(e.Fields), maxFaults)]
	if len(e.Fields) == 0 {
		if message == "request body is required" {
			message = "Body is required: send a JSON object"
		}
		e.Fields = []core.FieldError{{Field: "body", Issue: message}}
	}
	return e
}

func unknownLast(f core.FieldError) string {
	if strings.HasPrefix(f.Issue, "Unknown field") {
		return f.Field
	}
	return ""
}

// paramIssues are Huma's words about parameters, and ours.
var paramIssues = map[string]string{
	"invalid integer":                     "Must be an integer",
	"invalid float":                       "Must be a number",
	"invalid boolean":                     "Must be true or false",
	"required path parameter is missing":  "Parameter is required",
	"required query parameter is missing": "Parameter is required",
}

func fieldError(ctx huma.Context, d *huma.ErrorDetail) core.FieldError {
	where, field, _ := strings.Cut(d.Location, ".")
	issue := d.Message
	if name, ok := strings.CutPrefix(issue, requiredMark); ok {
		if field != "" {
			name = field + "." + name
		}
		return core.FieldError{Field: name, Issue: "Field is required"}
	}
	if ours, ok := paramIssues[issue]; ok {
		issue = ours
	}
	if issue == "Unknown field" && !strings.Contains(field, ".") && ctx != nil {
		if names := bodyFields(ctx.Operation()); len(names) > 0 {
			issue += ": there are " + strings.Join(names, ", ")
		}
	}
	if field == "" {
		field = where
	}
	return core.FieldError{Field: field, Issue: issue}
}
