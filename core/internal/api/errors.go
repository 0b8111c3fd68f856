package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/agentarea/agentarea/core"
)

// ErrorReply is the body of every error of the API.
type ErrorReply struct {
	Failure    Failure `json:"error"`
	status     int
	retryAfter time.Duration
	cause      error
}

// Failure is the error as the client sees it.
type Failure struct {
	Code      core.Code      `json:"code" doc:"The kind of error, for programs"`
	Message   string         `json:"message" doc:"What happened, for people"`
	Details   FailureDetails `json:"details"`
	RequestID string         `json:"request_id" doc:"Identifies the request in the server's log. Same as the X-Request-ID header"`
}

// FailureDetails names what is wrong with the request.
type FailureDetails struct {
	Field  string            `json:"field,omitempty" doc:"The dotted path of the invalid field, or the name of the invalid parameter"`
	Issue  string            `json:"issue,omitempty" doc:"What is wrong with it and how to correct it"`
	Errors []core.FieldError `json:"errors,omitempty" doc:"All invalid fields, if there is more than one"`
}

func (e *ErrorReply) Error() string {
	if e.cause != nil {
		return e.cause.Error()
	}
	return string(e.Failure.Code) + ": " + e.Failure.Message
}

// Unwrap returns the error that the reply stands for, including its private cause.
func (e *ErrorReply) Unwrap() error { return e.cause }

// GetStatus implements huma.StatusError.
func (e *ErrorReply) GetStatus() int { return e.status }

// SetStatus replaces the HTTP status, for a status that no code maps to.
func (e *ErrorReply) SetStatus(status int) { e.status = status }

// ContentType makes Huma send errors as plain JSON instead of problem+json.
func (e *ErrorReply) ContentType(string) string { return "application/json" }

// NewErrorReply returns the reply for err. An error that is not a core.Error becomes an
// INTERNAL_ERROR without its text.
func NewErrorReply(err error, requestID string) *ErrorReply {
	e := publicError(err)
	status := e.Code.HTTPStatus()
	if status == http.StatusInternalServerError {
		e = &core.Error{Code: core.CodeInternal, Message: "Internal server error"}
	}
	r := &ErrorReply{
		Failure: Failure{Code: e.Code, Message: e.Message, RequestID: requestID},
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

// publicError returns the core.Error in err's chain. If there is none, it returns a core.Error that hides err from
// the client.
func publicError(err error) *core.Error {
	var e *core.Error
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &tooLong):
		return bodyTooLarge(tooLong.Limit)
	case errors.Is(err, context.Canceled):
		return core.Unavailable("The request was cancelled")
	case errors.Is(err, context.DeadlineExceeded):
		return core.Unavailable("The request took too long. Try again.")
	default:
		return &core.Error{Code: core.CodeInternal}
	}
}

func bodyTooLarge(limit int64) *core.Error {
	return &core.Error{
		Code: core.CodePayloadTooLarge, Message: fmt.Sprintf("The request body exceeds the limit of %d bytes", limit),
	}
}

// prepare sets the headers of the error, and records it in the request for the log.
func (e *ErrorReply) prepare(req *Request, set func(name, value string)) {
	if req != nil {
		req.Err = e
	}
	if e.retryAfter > 0 {
		set("Retry-After", strconv.Itoa(int(math.Ceil(e.retryAfter.Seconds()))))
	}
	if e.status == http.StatusUnauthorized {
		set("WWW-Authenticate", `Bearer realm="agentarea"`)
	}
}

// WriteError answers a request with an error, outside of Huma.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	req := RequestFrom(r.Context())
	WriteReply(w, req, NewErrorReply(err, req.ID))
}

// WriteErrorStatus is WriteError with a status that replaces that of the error's code, unless it is 0. It keeps a
// WWW-Authenticate header that is set already.
func WriteErrorStatus(w http.ResponseWriter, r *http.Request, err error, status int) {
	req := RequestFrom(r.Context())
	e := NewErrorReply(err, req.ID)
	if status != 0 {
		e.SetStatus(status)
	}
	WriteReply(w, req, e)
}

// WriteReply answers a request with an error reply, outside of Huma. It keeps a WWW-Authenticate header that is set
// already.
func WriteReply(w http.ResponseWriter, req *Request, e *ErrorReply) {
	challenge := w.Header().Get("WWW-Authenticate")
	e.prepare(req, w.Header().Set)
	if challenge != "" {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	_ = json.NewEncoder(w).Encode(e) // the client may have disconnected
}
