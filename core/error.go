package core

import (
	"errors"
	"fmt"
	"strings"
	"time"
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
	// RetryAfter is the time that the client should wait before it retries. It is 0 if unknown.
	RetryAfter time.Duration
	// Err is the internal cause. It is logged and never returned to clients.
	Err error
}

// FieldError describes what is wrong with one input field.
type FieldError struct {
	// Field is the dotted path from the root of the body, or the name of a parameter.
	Field string `json:"field"`
	// Issue describes the problem and how to correct it.
	Issue string `json:"issue"`
}

// Error returns the code, the message, the fields and the internal cause. It is for logs.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code) + ": " + e.Message)
	for _, f := range e.Fields {
		b.WriteString(" (" + f.Field + ": " + f.Issue + ")")
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
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
	return &Error{Code: CodeNotFound, Message: fmt.Sprintf("%s %q not found", noun, id)}
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
