package files

import (
	"context"
	"errors"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// backendError logs the error of a backend and returns the error for the caller.
func (f *Files) backendError(ctx context.Context, label string, err error) error {
	var public *core.Error
	if errors.As(err, &public) {
		return err
	}
	var e *sdk.Error
	if !errors.As(err, &e) {
		return err
	}
	f.log.WarnContext(ctx, "file backend failed", "backend", label, "error", err)
	out := core.Unavailable("The file backend %q is not available. Try again later.", label)
	out.RetryAfter, out.Err = time.Second, err
	switch e.Code { //nolint:exhaustive // the other codes mean that the backend is unavailable
	case sdk.CodeNoSpace:
		out.Code, out.RetryAfter = core.CodeInsufficientStorage, 0
		out.Message = "The file backend has no free space. An administrator must free some."
	case sdk.CodeUnauthorized:
		out.RetryAfter = 0
		out.Message = "The file backend rejected the server's credentials. An administrator must correct plugins.hcl."
	case sdk.CodeNotFound:
		out.RetryAfter = 0
		out.Message = "The bytes of the file are missing in the file backend. An administrator must restore them."
	case sdk.CodeInvalidRequest, sdk.CodeInternal:
		out.Code = core.CodeInternal
	}
	return out
}

// unavailable reports whether err means that a backend is temporarily unavailable.
func unavailable(err error) bool {
	var e *sdk.Error
	if !errors.As(err, &e) {
		return core.CodeOf(err) == core.CodeUnavailable
	}
	switch e.Code { //nolint:exhaustive // the other codes are permanent
	case sdk.CodePluginCrashed, sdk.CodeUnavailable, sdk.CodeTimeout, sdk.CodeRateLimited:
		return true
	}
	return false
}
