package sdk

import (
	"errors"
	"time"
)

// ErrorCode is the kind of an Error. Codes are only ever added.
type ErrorCode string

// The codes that plugins and the host use.
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
)

// Error is a failure that crosses the plugin boundary with its kind.
type Error struct {
	Code ErrorCode `json:"code"`
	// Message is for people; it holds no secret.
	Message string `json:"message"`
	// Retryable says that the same request may succeed later.
	Retryable bool `json:"retryable,omitempty"`
	// RetryAfter is how long the provider asks to wait; 0 when it did not say.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	// ProviderStatus is the provider's HTTP status; 0 when there was none.
	ProviderStatus int `json:"provider_status,omitempty"`
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// AsError finds the Error in err's chain, or makes one of CodeInternal.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: CodeInternal, Message: err.Error()}
}
