package wire

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/agentarea/agentarea/sdk"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

// ToStatus returns a gRPC status error that carries err as a base.v1.Error. It returns a status error
// and nil unchanged.
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	var e *sdk.Error
	if _, ok := status.FromError(err); ok && !errors.As(err, &e) {
		return err
	}
	if e == nil && errors.Is(err, context.DeadlineExceeded) {
		slog.Warn("call exceeded its deadline", "error", err) // AsError replaces the text
	}
	e = AsError(err)
	detail := FromError(e)
	st, detailErr := status.New(toCode(e.Code), detail.GetMessage()).WithDetails(detail)
	if detailErr != nil {
		return status.Error(codes.Internal, detail.GetMessage())
	}
	return st.Err()
}

// FromCall is like FromStatus for the error of a call with the context ctx. If the call was cancelled but
// ctx is not done, the connection was closed, and FromCall returns CodePluginCrashed.
func FromCall(ctx context.Context, err error) error {
	if status.Code(err) == codes.Canceled && ctx.Err() == nil && len(status.Convert(err).Details()) == 0 {
		return &sdk.Error{Code: sdk.CodePluginCrashed, Message: status.Convert(err).Message(), Retryable: true}
	}
	return FromStatus(err)
}

// FromStatus converts the error of a gRPC call to an *sdk.Error. FromStatus(nil) returns nil.
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	var e *sdk.Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, io.EOF) {
		return &sdk.Error{Code: sdk.CodeInternal, Message: "the plugin ended the stream without a response"}
	}
	st, ok := status.FromError(err)
	if !ok {
		return AsError(err)
	}
	for _, d := range st.Details() {
		if pe, ok := d.(*basev1.Error); ok {
			return ToError(pe)
		}
	}
	return plainStatus(st)
}

// plainStatus converts a status without a base.v1.Error. It comes from gRPC itself or from a plugin that
// does not send details.
func plainStatus(st *status.Status) *sdk.Error {
	e := &sdk.Error{Code: sdk.CodeInternal, Message: st.Message()}
	switch st.Code() {
	case codes.Unavailable:
		e.Code, e.Retryable = sdk.CodePluginCrashed, true
	case codes.Canceled:
		e.Code, e.Message = sdk.CodeCancelled, "the operation was cancelled"
	case codes.DeadlineExceeded:
		e.Code, e.Message, e.Retryable = sdk.CodeTimeout, "the operation exceeded its deadline", true
	case codes.InvalidArgument, codes.ResourceExhausted, codes.OutOfRange:
		// gRPC returns ResourceExhausted for a message that is too large.
		e.Code = sdk.CodeInvalidRequest
	case codes.NotFound:
		e.Code = sdk.CodeNotFound
	case codes.Unauthenticated, codes.PermissionDenied:
		e.Code = sdk.CodeUnauthorized
	default:
		e.Message = st.Code().String() + ": " + st.Message()
	}
	return e
}

func toCode(c sdk.ErrorCode) codes.Code {
	switch c {
	case sdk.CodeRateLimited, sdk.CodeNoSpace:
		return codes.ResourceExhausted
	case sdk.CodeUnavailable, sdk.CodePluginCrashed:
		return codes.Unavailable
	case sdk.CodeTimeout:
		return codes.DeadlineExceeded
	case sdk.CodeUnauthorized:
		return codes.Unauthenticated
	case sdk.CodeInvalidRequest, sdk.CodeContextTooLong:
		return codes.InvalidArgument
	case sdk.CodeNotFound:
		return codes.NotFound
	case sdk.CodeContentFilter, sdk.CodeMaxSteps, sdk.CodeAgentConfig:
		return codes.FailedPrecondition
	case sdk.CodeNondeterministic:
		return codes.Aborted
	case sdk.CodeCancelled:
		return codes.Canceled
	case sdk.CodeInternal:
	}
	return codes.Internal
}
