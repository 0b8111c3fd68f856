package run

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// The causes for which the context of a run ends.
var (
	errStopping = errors.New("the server is stopping")
	// errCancelled is an *sdk.Error so that an interrupted host call reports it.
	errCancelled error = &sdk.Error{Code: sdk.CodeCancelled, Message: "The run was cancelled."}
	errTakenOver       = errors.New("another server has taken over the run, because this one did not renew its lease in time")
	// errSettled is also returned for a write of a run that has ended, or that another
	// server or attempt owns.
	errSettled = errors.New("the run has ended or is executed by another server or attempt")
)

// timeoutError is the cause for which the context of a run ends after its timeout.
type timeoutError struct{ after time.Duration }

func (e timeoutError) Error() string {
	return fmt.Sprintf("The run exceeded timeout_seconds (%s s).", strconv.FormatFloat(e.after.Seconds(), 'f', -1, 64))
}

// Unwrap returns the error that the run stores.
func (e timeoutError) Unwrap() error { return &sdk.Error{Code: sdk.CodeTimeout, Message: e.Error()} }

// apiError returns the error of a failed run as the API shows it.
func apiError(runID string, e *sdk.Error) *core.Error {
	out := &core.Error{
		Code: core.CodeUpstream, Message: e.Message, RetryAfter: e.RetryAfter,
		Run: &core.RunRef{ID: runID, Reason: e.Code, Retryable: e.Retryable},
	}
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
	case sdk.CodeAgentConfig:
		out.Code = core.CodeConflict
		// journal.Error writes the message as "config.field: issue".
		if field, issue, ok := strings.Cut(e.Message, ": "); ok && strings.HasPrefix(field, "config.") {
			out.Fields = []core.FieldError{{Field: field, Issue: issue}}
		}
	case sdk.CodeInternal, sdk.CodeNondeterministic, sdk.CodeUnauthorized, sdk.CodeInvalidRequest, sdk.CodeNotFound,
		sdk.CodeContentFilter, sdk.CodeContextTooLong, sdk.CodeMaxSteps, sdk.CodeNoSpace:
	}
	return out
}

// endError returns the error of a run that ended without an answer.
func endError(r *core.Run) error {
	if r.Error != nil {
		return apiError(r.ID, r.Error)
	}
	return core.Conflict("Run %q ended with status %s.", r.ID, r.Status).WithRun(core.RunRef{ID: r.ID})
}
