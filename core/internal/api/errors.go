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
	"github.com/agentarea/agentarea/sdk"
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
	Field  string            `json:"field,omitempty" doc:"The path of the invalid field, such as config.tools[0], or the name of the invalid parameter or header"`
	Issue  string            `json:"issue,omitempty" doc:"What is wrong with it and how to correct it"`
	Errors []core.FieldError `json:"errors,omitempty" doc:"All invalid fields, if there is more than one"`
	Object string            `json:"object,omitempty" doc:"The kind of object that the error is about, such as agent"`
	ID     string            `json:"id,omitempty" doc:"The id of that object"`
	RunID  string            `json:"run_id,omitempty" doc:"The run that failed, or that prevents the action"`
	// Reason and Retryable are only set for a failed run.
	Reason    sdk.ErrorCode `json:"reason,omitempty" doc:"Why the run failed, for example rate_limited, timeout or plugin_crashed"`
	Retryable *bool         `json:"retryable,omitempty" doc:"Whether the same message may succeed later, if a run failed"`
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
		e = &core.Error{Code: core.CodeInternal, Message: "Internal server error", Run: e.Run}
	}
	r := &ErrorReply{
		Failure: Failure{Code: e.Code, Message: e.Message, RequestID: requestID},
		status:  status, retryAfter: e.RetryAfter, cause: err,
	}
	r.Failure.Details = newFailureDetails(e)
	return r
}

func newFailureDetails(e *core.Error) FailureDetails {
	var d FailureDetails
	if len(e.Fields) > 0 {
		d.Field, d.Issue = e.Fields[0].Field, e.Fields[0].Issue
	}
	if len(e.Fields) > 1 {
		d.Errors = e.Fields
	}
	if e.Object != nil {
		d.Object, d.ID = e.Object.Noun, e.Object.ID
	}
	if e.Run != nil {
		d.RunID, d.Reason = e.Run.ID, e.Run.Reason
		if e.Run.Reason != "" {
			d.Retryable = &e.Run.Retryable
		}
	}
	return d
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
	e := &core.Error{
		Code: core.CodePayloadTooLarge, Message: fmt.Sprintf("The request body exceeds the limit of %d bytes", limit),
	}
	return e.WithField("body")
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
