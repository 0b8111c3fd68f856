package plugin

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/agentarea/agentarea/sdk"
)

// traced returns a copy of ctx that carries the trace in the metadata of the incoming call.
func traced(ctx context.Context) context.Context {
	sent, ok := metadata.FromIncomingContext(ctx)
	if !ok {
		return ctx
	}
	first := func(key string) string {
		if values := sent.Get(key); len(values) > 0 {
			return values[0]
		}
		return ""
	}
	return sdk.WithTrace(ctx, sdk.Trace{Parent: first("traceparent"), State: first("tracestate")})
}

// tracedStream is a stream whose context carries the trace of the call.
type tracedStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // grpc.ServerStream has a Context method
}

// Context implements grpc.ServerStream.
func (s *tracedStream) Context() context.Context { return s.ctx }

// withTrace returns ss with a context that carries the trace of the call.
func withTrace(ss grpc.ServerStream) grpc.ServerStream {
	ctx := traced(ss.Context())
	if ctx == ss.Context() {
		return ss
	}
	return &tracedStream{ServerStream: ss, ctx: ctx}
}
