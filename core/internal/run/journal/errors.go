package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// Error converts err to the error that is recorded and that the plugin receives. An
// error without a public message becomes CodeInternal; its text is not included, so the
// caller must log it.
func Error(err error) *sdk.Error {
	// The core.Error comes first, because the error that it wraps is private.
	var public *core.Error
	if errors.As(err, &public) {
		return fromCore(public)
	}
	var own *sdk.Error
	if errors.As(err, &own) {
		return own
	}
	switch {
	case errors.Is(err, context.Canceled):
		return &sdk.Error{Code: sdk.CodeCancelled, Message: "The run was cancelled."}
	case errors.Is(err, context.DeadlineExceeded):
		return &sdk.Error{Code: sdk.CodeTimeout, Message: "The operation timed out.", Retryable: true}
	}
	return &sdk.Error{Code: sdk.CodeInternal, Message: "Internal error. See the server log for details."}
}

func fromCore(e *core.Error) *sdk.Error {
	code := sdk.CodeInternal
	switch e.Code { //nolint:exhaustive // plugins and stores return no other codes
	case core.CodeValidation:
		code = sdk.CodeInvalidRequest
		if len(e.Fields) > 0 && strings.HasPrefix(e.Fields[0].Field, "config.") {
			code = sdk.CodeAgentConfig
		}
	case core.CodeNotFound:
		code = sdk.CodeNotFound
	case core.CodeUnavailable:
		code = sdk.CodeUnavailable
	case core.CodeInsufficientStorage:
		code = sdk.CodeNoSpace
	}
	message := e.Message
	if e.Code == core.CodeValidation && len(e.Fields) > 0 {
		message = fmt.Sprintf("%s: %s", e.Fields[0].Field, e.Fields[0].Issue)
	}
	return &sdk.Error{Code: code, Message: message, Retryable: code == sdk.CodeUnavailable, RetryAfter: e.RetryAfter}
}
