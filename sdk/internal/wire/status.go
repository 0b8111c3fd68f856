package wire

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/agentarea/agentarea/sdk"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

// ToStatus makes a gRPC status error that carries err as a base.v1.Error. A
// status error stays what it is, nil too.
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	var e *sdk.Error
	if _, ok := status.FromError(err); ok && !errors.As(err, &e) {
		return err
	}
	e = AsError(err)
	detail := FromError(e)
	st, detailErr := status.New(toCode(e.Code), detail.GetMessage()).WithDetails(detail)
	if detailErr != nil {
		return status.Error(codes.Internal, detail.GetMessage())
	}
	return st.Err()
}

// FromCall is FromStatus for the call that ctx was given to: when it was cut
// though ctx has not ended, the connection was closed under it.
func FromCall(ctx context.Context, err error) error {
	if status.Code(err) == codes.Canceled && ctx.Err() == nil && len(status.Convert(err).Details()) == 0 {
		return &sdk.Error{Code: sdk.CodePluginCrashed, Message: status.Convert(err).Message(), Retryable: true}
	}
	return FromStatus(err)
}

// FromStatus makes an *sdk.Error of what a gRPC call gave; nil stays nil.
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	var e *sdk.Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, io.EOF) {
		return &sdk.Error{Code: sdk.CodeInternal, Message: "the plugin ended the stream before its answer"}
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

// plainStatus judges a status without our detail: gRPC's own, or that of a
// plugin in another language.
func plainStatus(st *status.Status) *sdk.Error {
	e := &sdk.Error{Code: sdk.CodeInternal, Message: st.Message()}
	switch st.Code() {
	case codes.Unavailable:
		e.Code, e.Retryable = sdk.CodePluginCrashed, true
	case codes.Canceled:
		e.Code = sdk.CodeCancelled
	case codes.DeadlineExceeded:
		e.Code, e.Retryable = sdk.CodeTimeout, true
	case codes.InvalidArgument, codes.ResourceExhausted, codes.OutOfRange:
		// ResourceExhausted is gRPC's own word for a message past the limit.
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
	case sdk.CodeContentFilter, sdk.CodeMaxSteps:
		return codes.FailedPrecondition
	case sdk.CodeNondeterministic:
		return codes.Aborted
	case sdk.CodeCancelled:
		return codes.Canceled
	case sdk.CodeInternal:
	}
	return codes.Internal
}
