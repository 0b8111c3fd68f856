package wire

import (
	"context"
	"errors"
	"time"

	"github.com/agentarea/agentarea/sdk"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

// maxErrorMessage is the maximum length of an error message in bytes. The message is sent in an HTTP/2
// header, and a provider may return a whole HTML page.
const maxErrorMessage = 8 << 10

// AsError is like sdk.AsError, but returns CodeCancelled or CodeTimeout for a context error. Its message does not
// contain the text of such an error, because users see the messages of these codes.
func AsError(err error) *sdk.Error {
	var e *sdk.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled):
		return &sdk.Error{Code: sdk.CodeCancelled, Message: "the operation was cancelled"}
	case errors.Is(err, context.DeadlineExceeded):
		return &sdk.Error{Code: sdk.CodeTimeout, Message: "the operation exceeded its deadline", Retryable: true}
	}
	return sdk.AsError(err)
}

// FromError converts e to a protobuf message.
func FromError(e *sdk.Error) *basev1.Error {
	msg := e.Message
	if len(msg) > maxErrorMessage {
		msg = msg[:maxErrorMessage] + "…"
	}
	// Round up, because 0 means that there is no wait.
	wait := (e.RetryAfter + time.Millisecond - 1) / time.Millisecond
	return &basev1.Error{
		Code: UTF8(string(e.Code)), Message: UTF8(msg), Retryable: e.Retryable,
		RetryAfterMs: int64(wait), ProviderStatus: int32(e.ProviderStatus), //nolint:gosec // an HTTP status
	}
}

// ToError converts e to an error of the SDK. ToError(nil) returns nil.
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
