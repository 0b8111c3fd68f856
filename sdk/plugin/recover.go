package plugin

import (
	"context"
	"log/slog"
	"runtime/debug"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
)

// Recovered logs the value of a panic with the stack trace, and returns an error for the host. The error
// does not contain the value, because the value may contain secrets.
func Recovered(ctx context.Context, value any) error {
	slog.ErrorContext(ctx, "panic", "panic", value, "stack", string(debug.Stack()))
	return &sdk.Error{Code: sdk.CodeInternal, Message: "the plugin panicked; see the log for the stack trace"}
}

// unary is the interceptor that ServerOptions uses for unary calls.
func unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (resp any, err error) {
	if isCounted(info.FullMethod) {
		activeCalls.Add(1)
		defer activeCalls.Add(-1)
	}
	defer func() {
		if v := recover(); v != nil {
			err = Recovered(ctx, v)
		}
		err = ToStatus(err)
	}()
	return h(traced(ctx), req)
}

// stream is the interceptor that ServerOptions uses for streams.
func stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, h grpc.StreamHandler) (err error) {
	if isCounted(info.FullMethod) {
		activeCalls.Add(1)
		defer activeCalls.Add(-1)
	}
	defer func() {
		if v := recover(); v != nil {
			err = Recovered(ss.Context(), v)
		}
		err = ToStatus(err)
	}()
	return h(srv, withTrace(ss))
}
