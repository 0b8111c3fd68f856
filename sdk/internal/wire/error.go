package wire

import (
	"context"
	"errors"
	"time"

	"github.com/agentarea/agentarea/sdk"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

// maxErrorMessage bounds the text of an error, in bytes: it travels in HTTP/2
// headers, and a provider's whole HTML page helps nobody.
const maxErrorMessage = 8 << 10

// AsError is sdk.AsError, but a context's end is CodeCancelled or CodeTimeout.
func AsError(err error) *sdk.Error {
	var e *sdk.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled):
		return &sdk.Error{Code: sdk.CodeCancelled, Message: err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return &sdk.Error{Code: sdk.CodeTimeout, Message: err.Error(), Retryable: true}
	}
	return sdk.AsError(err)
}

// FromError makes a protobuf error.
func FromError(e *sdk.Error) *basev1.Error {
	msg := e.Message
	if len(msg) > maxErrorMessage {
		msg = msg[:maxErrorMessage] + "…"
	}
	// A wait below a millisecond is still a wait.
	wait := (e.RetryAfter + time.Millisecond - 1) / time.Millisecond
	return &basev1.Error{
		Code: UTF8(string(e.Code)), Message: UTF8(msg), Retryable: e.Retryable,
		RetryAfterMs: int64(wait), ProviderStatus: int32(e.ProviderStatus), //nolint:gosec // an HTTP status
	}
}

// ToError makes the SDK's error; nil stays nil.
func ToError(e *basev1.Error) *sdk.Error {
	if e == nil {
		return nil
	}
	return &sdk.Error{
		Code: sdk.ErrorCode(e.GetCode()), Message: e.GetMessage(), Retryable: e.GetRetryable(),
		RetryAfter:     time.Duration(e.GetRetryAfterMs()) * time.Millisecond,
		ProviderStatus: int(e.GetProviderStatus()),
	}
}
