package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// toSDK makes the error that a plugin is told, and that a run keeps, of any
// error. What is not meant for people is logged by the caller.
func toSDK(err error) *sdk.Error {
	// First, for what such an error wraps is private.
	var shown *core.Error
	if errors.As(err, &shown) {
		return fromCore(shown)
	}
	var own *sdk.Error
	if errors.As(err, &own) {
		return own
	}
	var timeout timeoutError
	if errors.As(err, &timeout) {
		return &sdk.Error{Code: sdk.CodeTimeout, Message: timeout.Error()}
	}
	switch {
	case errors.Is(err, errCancelled), errors.Is(err, context.Canceled):
		return &sdk.Error{Code: sdk.CodeCancelled, Message: "the run was cancelled"}
	case errors.Is(err, context.DeadlineExceeded):
		return &sdk.Error{Code: sdk.CodeTimeout, Message: "it took too long", Retryable: true}
	}
	return &sdk.Error{Code: sdk.CodeInternal, Message: "internal error"}
}

func fromCore(e *core.Error) *sdk.Error {
	code := sdk.CodeInternal
	switch e.Code { //nolint:exhaustive // the others do not come from plugins or stores
	case core.CodeValidation:
		code = sdk.CodeInvalidRequest
	case core.CodeNotFound:
		code = sdk.CodeNotFound
	case core.CodeUnavailable:
		code = sdk.CodeUnavailable
	}
	message := e.Message
	if len(e.Fields) > 0 {
		message = fmt.Sprintf("%s: %s", e.Fields[0].Field, e.Fields[0].Issue)
	}
	return &sdk.Error{Code: code, Message: message, Retryable: code == sdk.CodeUnavailable, RetryAfter: e.RetryAfter}
}

// shown is how the API shows the error of a run: whose fault it is, and what
// somebody can do.
func shown(e *sdk.Error) *core.Error {
	out := &core.Error{Code: core.CodeUpstream, Message: e.Message, RetryAfter: e.RetryAfter}
	switch e.Code {
	case sdk.CodeRateLimited, sdk.CodePluginCrashed:
		out.Code = core.CodeUnavailable
	case sdk.CodeUnavailable:
		if e.ProviderStatus == 0 && e.Retryable {
			out.Code = core.CodeUnavailable
		}
	case sdk.CodeTimeout:
		out.Code = core.CodeUpstreamTimeout
	case sdk.CodeCancelled:
		out.Code = core.CodeConflict
	case sdk.CodeInternal, sdk.CodeNondeterministic:
		out.Code = core.CodeUpstream
	case sdk.CodeUnauthorized, sdk.CodeInvalidRequest, sdk.CodeNotFound, sdk.CodeContentFilter,
		sdk.CodeContextTooLong, sdk.CodeMaxSteps, sdk.CodeNoSpace:
	}
	return out
}

// outcome is the error of a run that ended without an answer.
func outcome(r *core.Run) error {
	if r.Error != nil {
		return shown(r.Error)
	}
	return core.Conflict("The run is %s", r.Status)
}
