package core

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// Code is the machine-readable kind of an Error. The API returns it to clients.
type Code string

// The error codes.
const (
	CodeValidation           Code = "VALIDATION_ERROR"
	CodeUnauthorized         Code = "UNAUTHORIZED"
	CodeForbidden            Code = "FORBIDDEN"
	CodeNotFound             Code = "NOT_FOUND"
	CodeMethodNotAllowed     Code = "METHOD_NOT_ALLOWED"
	CodeConflict             Code = "CONFLICT"
	CodePreconditionFailed   Code = "PRECONDITION_FAILED"
	CodePayloadTooLarge      Code = "PAYLOAD_TOO_LARGE"
	CodeUnsupportedMediaType Code = "UNSUPPORTED_MEDIA_TYPE"
	CodeRateLimited          Code = "RATE_LIMITED"
	CodeInternal             Code = "INTERNAL_ERROR"
	CodeUpstream             Code = "UPSTREAM_ERROR"
	CodeUnavailable          Code = "SERVICE_UNAVAILABLE"
	CodeUpstreamTimeout      Code = "UPSTREAM_TIMEOUT"
	CodeInsufficientStorage  Code = "INSUFFICIENT_STORAGE"
)

// Error is an error whose code, message and fields can be returned to API clients.
type Error struct {
	Code    Code
	Message string
	// Fields describes the invalid fields of the input, the most important one first.
	Fields []FieldError
	// Object is the object that the error is about, or nil if no single object is known.
	Object *ObjectRef
	// Run is the run that failed, or that prevents the action. It is nil if no run is known.
	Run *RunRef
	// RetryAfter is the time that the client should wait before it retries. It is 0 if unknown.
	RetryAfter time.Duration
	// Err is the internal cause. It is logged and never returned to clients.
	Err error
}

// ObjectRef names an object in an error.
type ObjectRef struct {
	// Noun is the kind of object, such as "agent".
	Noun string
	ID   string
}

// RunRef names a run in an error.
type RunRef struct {
	ID string
	// Reason is the error code of a failed run. It is empty for a run that did not fail.
	Reason sdk.ErrorCode
	// Retryable reports whether the same message may succeed later. It is meaningful only with a Reason.
	Retryable bool
}

// FieldError describes what is wrong with one input field.
type FieldError struct {
	// Field is the path from the root of the body, such as config.tools[0], or the name of a parameter or header.
	Field string `json:"field"`
	// Issue describes the problem and how to correct it.
	Issue string `json:"issue"`
}

// Error returns the code, the message, the fields and the internal cause. It is for logs.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code) + ": " + e.Message)
	for _, f := range e.Fields {
		if f.Issue != e.Message {
			b.WriteString(" (" + f.Field + ": " + f.Issue + ")")
		}
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// WithField returns a copy of e that names the field at fault. The message is its issue.
func (e *Error) WithField(field string) *Error {
	c := *e
	c.Fields = []FieldError{{Field: field, Issue: e.Message}}
	return &c
}

// WithObject returns a copy of e that names the object which it is about.
func (e *Error) WithObject(noun, id string) *Error {
	c := *e
	c.Object = &ObjectRef{Noun: noun, ID: id}
	return &c
}

// WithRun returns a copy of e that names a run.
func (e *Error) WithRun(run RunRef) *Error {
	c := *e
	c.Run = &run
	return &c
}

// OfRun returns err with the id of the run that it concerns, unless it names a run already. An error that is not an
// Error becomes an INTERNAL_ERROR with the cause err, except for those of a context that has ended.
func OfRun(err error, id string) error {
	var e *Error
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case !errors.As(err, &e):
		return &Error{Code: CodeInternal, Message: "Internal error", Run: &RunRef{ID: id}, Err: err}
	case e.Run != nil:
		return err
	default:
		return e.WithRun(RunRef{ID: id})
	}
}

// Unwrap returns the internal cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first Error in err's chain. It returns an empty Code if err is
// nil, and CodeInternal if the chain has no Error.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// Invalid returns a VALIDATION_ERROR for one field. The issue is a format string for args.
func Invalid(field, issue string, args ...any) *Error {
	return &Error{
		Code: CodeValidation, Message: "Invalid request data",
		Fields: []FieldError{{Field: field, Issue: fmt.Sprintf(issue, args...)}},
	}
}

// NotFound returns a NOT_FOUND error: the object does not exist, or the actor may not see it.
func NotFound(noun, id string) *Error {
	return &Error{
		Code: CodeNotFound, Message: fmt.Sprintf("%s %q not found", noun, id), Object: &ObjectRef{Noun: noun, ID: id},
	}
}

// Forbidden returns a FORBIDDEN error: the actor may see the object but not perform the action.
func Forbidden(message string) *Error { return &Error{Code: CodeForbidden, Message: message} }

// Conflict returns a CONFLICT error: the current state does not allow the action. The
// message is a format string for args.
func Conflict(message string, args ...any) *Error {
	return &Error{Code: CodeConflict, Message: fmt.Sprintf(message, args...)}
}

// Unavailable returns a SERVICE_UNAVAILABLE error. The message is a format string for args. It
// should name the component that is not available, and a remedy.
func Unavailable(message string, args ...any) *Error {
	return &Error{Code: CodeUnavailable, Message: fmt.Sprintf(message, args...)}
}
