package files

import (
	"context"
	"errors"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// fault is what a caller is told of a backend's error.
func (f *Files) fault(ctx context.Context, label string, err error) error {
	var shown *core.Error
	if errors.As(err, &shown) {
		return err
	}
	var e *sdk.Error
	if !errors.As(err, &e) {
		return err
	}
	f.log.WarnContext(ctx, "file backend failed", "backend", label, "error", err)
	out := core.Unavailable("The file backend %q is not available now: try again soon", label)
	out.RetryAfter, out.Err = time.Second, err
	switch e.Code { //nolint:exhaustive // the others are of the backend being away
	case sdk.CodeNoSpace:
		out.Code, out.RetryAfter = core.CodeInsufficientStorage, 0
		out.Message = "There is no room left where the files are kept: an admin must make some"
	case sdk.CodeUnauthorized:
		out.RetryAfter = 0
		out.Message = "The file backend refuses the server's keys: an admin must look at plugins.hcl"
	case sdk.CodeNotFound:
		out.RetryAfter = 0
		out.Message = "The bytes of the file are not where they were kept: an admin must restore them"
	case sdk.CodeInvalidRequest, sdk.CodeInternal:
		out.Code = core.CodeInternal
	}
	return out
}

// away says whether an error is of a backend that may be back soon.
func away(err error) bool {
	var e *sdk.Error
	if !errors.As(err, &e) {
		return core.CodeOf(err) == core.CodeUnavailable
	}
	switch e.Code { //nolint:exhaustive // the others stay what they are
	case sdk.CodePluginCrashed, sdk.CodeUnavailable, sdk.CodeTimeout, sdk.CodeRateLimited:
		return true
	}
	return false
}
