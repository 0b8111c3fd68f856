package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// callError returns the error of a call on the instance as the caller may show it to a member. It keeps an error
// that the plugin reports with a code. The text of an internal error, which is what the host receives for a panic
// or a Go error without a code, goes to the log, as do the details of a crash.
func (i *instance) callError(ctx context.Context, err error) error {
	var e *sdk.Error
	if err == nil || !errors.As(err, &e) {
		return err
	}
	switch e.Code { //nolint:exhaustive // plugins choose the texts of the other codes for users
	case sdk.CodePluginCrashed:
		return i.annotateCrash(ctx, err)
	case sdk.CodeInternal:
		return i.concealed(ctx, e, "failed with an internal error")
	}
	return err
}

// concealed logs the text of an error that the plugin returned, and returns the error with a text of the host.
func (i *instance) concealed(ctx context.Context, e *sdk.Error, what string) error {
	i.logger.ErrorContext(ctx, "plugin call failed", "code", e.Code, "error", i.block.Mask(e.Message))
	out := *e
	out.Message = fmt.Sprintf("plugin %s %s%s", i.block.Name(), what, reference(ctx))
	return &out
}

// reference returns the end of an error message that says how to find the reason in the log. It is empty if the
// call belongs to no run and no request.
func reference(ctx context.Context) string {
	fields := core.LogFieldsFromContext(ctx)
	switch {
	case fields.RunID != "":
		return "; the server's log has the reason under run_id " + fields.RunID
	case fields.RequestID != "":
		return "; the server's log has the reason under request_id " + fields.RequestID
	}
	return ""
}

// recalling is the handler of a run. It remembers the last error that the host returned to the agent's loop.
type recalling struct {
	agent.Handler
	last atomic.Pointer[sdk.Error]
}

// Handle implements agent.Handler.
func (h *recalling) Handle(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	result, err := h.Handler.Handle(ctx, call)
	var e *sdk.Error
	if err != nil && errors.As(err, &e) {
		h.last.Store(e)
	}
	return result, err
}

// runError is callError for a run. It keeps an error that the loop returns as it received it from the host.
func (i *instance) runError(ctx context.Context, err error, h *recalling) error {
	var e *sdk.Error
	last := h.last.Load()
	if errors.As(err, &e) && last != nil && e.Code == last.Code && e.Message == last.Message &&
		!errors.Is(err, agent.ErrPluginCrashed) {
		return err
	}
	return i.callError(ctx, err)
}
