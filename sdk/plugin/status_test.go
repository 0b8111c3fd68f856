package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
)

func TestStatus_roundTrip(t *testing.T) {
	t.Parallel()
	for _, code := range []sdk.ErrorCode{
		sdk.CodeRateLimited, sdk.CodeUnavailable, sdk.CodeTimeout, sdk.CodeUnauthorized, sdk.CodeInvalidRequest,
		sdk.CodeNotFound, sdk.CodeContentFilter, sdk.CodeContextTooLong, sdk.CodeInternal, sdk.CodePluginCrashed,
		sdk.CodeNondeterministic, sdk.CodeCancelled, sdk.CodeMaxSteps, "a_later_one",
	} {
		want := sdk.Error{
			Code: code, Message: "why", Retryable: true, RetryAfter: 1500 * time.Millisecond, ProviderStatus: 429,
		}
		var got *sdk.Error
		if err := plugin.FromStatus(plugin.ToStatus(fmt.Errorf("wrapped: %w", &want))); !errors.As(err, &got) ||
			*got != want {
			t.Errorf("FromStatus(ToStatus(%s)) = %+v, want the same error", code, err)
		}
	}
	if plugin.ToStatus(nil) != nil || plugin.FromStatus(nil) != nil {
		t.Error("ToStatus(nil) or FromStatus(nil) is not nil")
	}
}

func TestToStatus_otherErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want sdk.Error
	}{
		"another":          {errors.New("oh"), sdk.Error{Code: sdk.CodeInternal, Message: "oh"}},
		"cancelled":        {fmt.Errorf("get: %w", context.Canceled), sdk.Error{Code: sdk.CodeCancelled, Message: "the operation was cancelled"}},
		"deadline":         {context.DeadlineExceeded, sdk.Error{Code: sdk.CodeTimeout, Message: "the operation exceeded its deadline", Retryable: true}},
		"dead process":     {status.Error(codes.Unavailable, "EOF"), sdk.Error{Code: sdk.CodePluginCrashed, Message: "EOF", Retryable: true}},
		"foreign missing":  {status.Error(codes.NotFound, "no key"), sdk.Error{Code: sdk.CodeNotFound, Message: "no key"}},
		"foreign argument": {status.Error(codes.InvalidArgument, "x"), sdk.Error{Code: sdk.CodeInvalidRequest, Message: "x"}},
		"foreign refusal":  {status.Error(codes.PermissionDenied, "x"), sdk.Error{Code: sdk.CodeUnauthorized, Message: "x"}},
		"foreign unknown":  {status.Error(codes.Unknown, "x"), sdk.Error{Code: sdk.CodeInternal, Message: "Unknown: x"}},
		"short wait":       {&sdk.Error{Code: sdk.CodeRateLimited, RetryAfter: 1}, sdk.Error{Code: sdk.CodeRateLimited, RetryAfter: time.Millisecond}},
		"bad utf-8":        {errors.New("a\xffb"), sdk.Error{Code: sdk.CodeInternal, Message: "a\uFFFDb"}},
	} {
		var got *sdk.Error
		if err := plugin.FromStatus(plugin.ToStatus(test.err)); !errors.As(err, &got) || *got != test.want {
			t.Errorf("%s: %+v, want %+v", name, err, test.want)
		}
	}
	var got *sdk.Error
	page := errors.New(strings.Repeat("<html>", 10_000))
	if err := plugin.FromStatus(plugin.ToStatus(page)); !errors.As(err, &got) || len(got.Message) > 9<<10 {
		t.Errorf("got a message of %d bytes, want it shortened", len(got.Message))
	}
}
