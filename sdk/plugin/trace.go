package plugin

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/agentarea/agentarea/sdk"
)

// traced gives the context of a call the trace that the host has sent with it.
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

// tracedStream is a stream whose context has the call's trace.
type tracedStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a stream's context is asked of the stream
}

func (s *tracedStream) Context() context.Context { return s.ctx }

func withTrace(ss grpc.ServerStream) grpc.ServerStream {
	ctx := traced(ss.Context())
	if ctx == ss.Context() {
		return ss
	}
	return &tracedStream{ServerStream: ss, ctx: ctx}
}
