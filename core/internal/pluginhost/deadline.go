package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// noAnswerError is the cause for which the context of a call ends if the plugin does not answer in time.
type noAnswerError struct{ limit time.Duration }

func (e noAnswerError) Error() string { return fmt.Sprintf("no answer within %s", e.limit) }

// call makes a call on an instance with a time limit of its own, because a plugin may never answer. Its error is that
// of deadlineError.
func call[T any](ctx context.Context, i *instance, limit time.Duration, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, noAnswerError{limit})
	defer cancel()
	result, err := f(ctx)
	return result, i.deadlineError(ctx, err)
}

// callWithoutResult is call for a function that returns only an error.
func callWithoutResult(ctx context.Context, i *instance, limit time.Duration, f func(context.Context) error) error {
	_, err := call(ctx, i, limit, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}

// deadlineError is callError for a call whose context may have ended because of its time limit.
func (i *instance) deadlineError(ctx context.Context, err error) error {
	var late noAnswerError
	if err == nil || !errors.As(context.Cause(ctx), &late) {
		return i.callError(ctx, err)
	}
	i.logger.ErrorContext(ctx, "plugin did not answer a call", "limit", late.limit, "error", err)
	return &sdk.Error{
		Code: sdk.CodeTimeout, Retryable: true,
		Message: fmt.Sprintf("plugin %s did not answer within %s%s", i.block.Name(), late.limit, reference(ctx)),
	}
}
