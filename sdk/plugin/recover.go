package plugin

import (
	"context"
	"log/slog"
	"runtime/debug"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
)

// Recovered turns what recover gave into an error for the host, and logs it
// with its stack. The panic's value stays in the log: it may hold anything.
func Recovered(ctx context.Context, value any) error {
	slog.ErrorContext(ctx, "panic", "panic", value, "stack", string(debug.Stack()))
	return &sdk.Error{Code: sdk.CodeInternal, Message: "the plugin panicked; see the log for the stack trace"}
}

func unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = Recovered(ctx, v)
		}
		err = ToStatus(err)
	}()
	return h(traced(ctx), req)
}

func stream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = Recovered(ss.Context(), v)
		}
		err = ToStatus(err)
	}()
	return h(srv, withTrace(ss))
}
