package sdk

import (
	"errors"
	"time"
)

// ErrorCode identifies the kind of an Error. New versions may add codes but never remove one.
type ErrorCode string

// These are the error codes that plugins and the host use.
const (
	CodeRateLimited      ErrorCode = "rate_limited"
	CodeUnavailable      ErrorCode = "unavailable"
	CodeTimeout          ErrorCode = "timeout"
	CodeUnauthorized     ErrorCode = "unauthorized"
	CodeInvalidRequest   ErrorCode = "invalid_request"
	CodeNotFound         ErrorCode = "not_found"
	CodeContentFilter    ErrorCode = "content_filter"
	CodeContextTooLong   ErrorCode = "context_too_long"
	CodeInternal         ErrorCode = "internal"
	CodePluginCrashed    ErrorCode = "plugin_crashed"
	CodeNondeterministic ErrorCode = "nondeterministic"
	CodeCancelled        ErrorCode = "cancelled"
	CodeMaxSteps         ErrorCode = "max_steps"
	CodeNoSpace          ErrorCode = "no_space"
	// CodeAgentConfig means that the agent's config names something that does not exist anymore, or that the run
	// may not use, such as a deleted MCP server.
	CodeAgentConfig ErrorCode = "agent_config"
)

// Error is a failure that keeps its code when it is passed between a plugin and the host.
type Error struct {
	Code ErrorCode `json:"code"`
	// Message describes the failure for people. It must not contain secrets.
	Message string `json:"message"`
	// Retryable reports whether the same request may succeed later.
	Retryable bool `json:"retryable,omitempty"`
	// RetryAfter is the time to wait before the next attempt, or 0 if the provider did not specify one.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	// ProviderStatus is the HTTP status code of the provider's response, or 0 if there was none.
	ProviderStatus int `json:"provider_status,omitempty"`
}

// Error returns the code and the message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// AsError returns the first *Error in the chain of err. If there is none, it returns a new Error with
// CodeInternal and the text of err. The err must not be nil.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: CodeInternal, Message: err.Error()}
}
