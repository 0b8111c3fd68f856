package pluginhost

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// Metrics records plugin calls. Its methods must return quickly.
type Metrics interface {
	// PluginCall records a finished call with its gRPC status code.
	PluginCall(kind, label, method, code string, took time.Duration)
	// CompletionRetried records a retry of a provider's completion.
	CompletionRetried(provider string)
}

type noMetrics struct{}

func (noMetrics) PluginCall(string, string, string, string, time.Duration) {}
func (noMetrics) CompletionRetried(string)                                 {}

const (
	// pluginServices is the prefix of the plugin protocol's methods, as opposed to go-plugin's.
	// baseService is the prefix of methods that no user request causes.
	pluginServices = "/agentarea."
	baseService    = "/agentarea.base."
)

// observer counts the calls of one plugin, creates spans for those that belong to a trace,
// and propagates the W3C trace context. It replaces otelgrpc, whose handler runs for every
// message, and therefore for every token.
type observer struct {
	kind, label string
	metrics     Metrics
	tracer      trace.Tracer
}

func (h *Host) observe(s *config.Block) []grpc.DialOption {
	o := &observer{kind: s.Kind, label: s.Label, metrics: h.metrics, tracer: h.tracer}
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(o.unary), grpc.WithChainStreamInterceptor(o.stream)}
}

// observed is an active call.
type observed struct {
	*observer
	method string
	begun  time.Time
	// span is nil for a call that belongs to no trace.
	span trace.Span
	once sync.Once
}

func (o *observer) unary(
	ctx context.Context, method string, req, reply any,
	cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	if !strings.HasPrefix(method, pluginServices) {
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	ctx, call := o.begin(ctx, method)
	err := invoke(ctx, method, req, reply, cc, opts...)
	call.end(err)
	return err
}

func (o *observer) stream(
	ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn,
	method string, open grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	// A connection to an MCP server lasts for hours and is not part of the request that opened it.
	if !strings.HasPrefix(method, pluginServices) || o.kind == mcptransport.Kind {
		return open(ctx, desc, cc, method, opts...)
	}
	ctx, call := o.begin(ctx, method)
	s, err := open(ctx, desc, cc, method, opts...)
	if err != nil {
		call.end(err)
		return nil, err
	}
	// A caller that abandons a stream cancels its context.
	stop := context.AfterFunc(ctx, func() { call.end(status.FromContextError(ctx.Err()).Err()) })
	return &observedStream{ClientStream: s, call: call, stop: stop, single: !desc.ServerStreams}, nil
}

func (o *observer) begin(ctx context.Context, method string) (context.Context, *observed) {
	call := &observed{observer: o, method: method, begun: time.Now()}
	if strings.HasPrefix(method, baseService) || !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, call
	}
	ctx, call.span = o.tracer.Start(ctx, method[1:], trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("rpc.system.name", "grpc"),
		attribute.String("rpc.method", method[1:]),
		attribute.String("agentarea.plugin.kind", o.kind),
		attribute.String("agentarea.plugin.label", o.label),
	))
	w3c := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, w3c)
	for key, value := range w3c {
		ctx = metadata.AppendToOutgoingContext(ctx, key, value)
	}
	return ctx, call
}

func (c *observed) end(err error) {
	c.once.Do(func() {
		code := status.Code(err).String()
		c.metrics.PluginCall(c.kind, c.label, c.method[strings.LastIndexByte(c.method, '/')+1:], code, time.Since(c.begun))
		if c.span == nil {
			return
		}
		c.span.SetAttributes(attribute.String("rpc.response.status_code", code))
		if err != nil {
			c.span.SetAttributes(attribute.String("error.type", code))
			c.span.SetStatus(otelcodes.Error, code)
		}
		c.span.End()
	})
}

// observedStream records the end of a stream.
type observedStream struct {
	grpc.ClientStream
	call *observed
	stop func() bool
	// single reports that the plugin sends exactly one message.
	single bool
}

func (s *observedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err == nil && !s.single {
		return nil
	}
	s.stop()
	if errors.Is(err, io.EOF) {
		s.call.end(nil)
	} else {
		s.call.end(err)
	}
	return err
}
