package core

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code is the kind of an Error, as the API shows it.
type Code string

// The codes of the contract, and those that fill its gaps.
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

// Error is a failure that may be shown to the caller, all but Err.
type Error struct {
	Code    Code
	Message string
	// Fields are what is wrong with the input, the most telling first.
	Fields []FieldError
	// RetryAfter is when to try again; 0 when unknown.
	RetryAfter time.Duration
	// Err is the private cause: logged, never shown.
	Err error
}

// FieldError says what is wrong with one field.
type FieldError struct {
	// Field is the dotted path from the body's root, or a parameter's name.
	Field string `json:"field"`
	// Issue is what is wrong and what to write instead.
	Issue string `json:"issue"`
}

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

// Invalid is a VALIDATION_ERROR of one field.
func Invalid(field, issue string, args ...any) *Error {
	return &Error{
		Code: CodeValidation, Message: "Invalid request data",
		Fields: []FieldError{{Field: field, Issue: fmt.Sprintf(issue, args...)}},
	}
}

// NotFound says that there is no such noun, or none that the viewer may see.
func NotFound(noun, id string) *Error {
	return &Error{Code: CodeNotFound, Message: fmt.Sprintf("%s %q not found", noun, id)}
}

// Forbidden says that the viewer may see the thing but not do that.
func Forbidden(message string) *Error { return &Error{Code: CodeForbidden, Message: message} }

// Conflict says that the state of things does not allow it now.
func Conflict(message string, args ...any) *Error {
	return &Error{Code: CodeConflict, Message: fmt.Sprintf(message, args...)}
}

// Unavailable says that a part is down, which one, and what to do.
func Unavailable(message string, args ...any) *Error {
	return &Error{Code: CodeUnavailable, Message: fmt.Sprintf(message, args...)}
}
