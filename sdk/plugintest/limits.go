package plugintest

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

// These are the limits of the server. Calls without a deadline of their own get one, so that a plugin that never
// responds fails its check.
const (
	// callTimeout is the time that a plugin has to respond to a call with one answer.
	callTimeout = 30 * time.Second
	// modelsTimeout and healthTimeout apply to ListModels and Health instead.
	modelsTimeout = 5 * time.Second
	healthTimeout = 2 * time.Second
	// streamTimeout is the maximum duration of a stream, such as an answer or a connection. The server has no such
	// limit for connections.
	streamTimeout = 5 * time.Minute
)

// handshakeTime is the time that a plugin has to print its handshake line, and startTime the time from its start
// until it is configured. Tests shorten them.
var (
	handshakeTime = 15 * time.Second
	startTime     = 30 * time.Second
)

// withDeadlines returns dial options that give each call without a deadline the limit of its kind.
func withDeadlines() []grpc.DialOption {
	unary := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
		invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
	) error {
		ctx, cancel := limited(ctx, callTimeout)
		defer cancel()
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	stream := func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
		open grpc.Streamer, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		ctx, cancel := limited(ctx, streamTimeout)
		s, err := open(ctx, desc, cc, method, opts...)
		if err != nil {
			cancel()
			return nil, err
		}
		context.AfterFunc(s.Context(), cancel) //nolint:contextcheck // the stream's context ends with the stream
		return s, nil
	}
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(unary), grpc.WithChainStreamInterceptor(stream)}
}

// limited returns ctx with a deadline, unless it has one.
func limited(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}
