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

// Metrics is told of what plugins are asked: it must not take long.
type Metrics interface {
	// PluginCall tells of a call that has ended, with the gRPC code of its end.
	PluginCall(kind, label, method, code string, took time.Duration)
	// CompletionRetried tells that a provider is asked again.
	CompletionRetried(provider string)
}

type noMetrics struct{}

func (noMetrics) PluginCall(string, string, string, string, time.Duration) {}
func (noMetrics) CompletionRetried(string)                                 {}

const (
	// ours is how the methods begin that are no go-plugin's; baseService has those that nobody's
	// request is the cause of.
	ours        = "/agentarea."
	baseService = "/agentarea.base."
)

// observer watches the calls of one plugin: it counts them, gives those that are part
// of a trace a span, and sends the span's W3C trace context along. It is of our own, and
// not otelgrpc, whose handler is called for every message, and so for every token.
type observer struct {
	kind, label string
	metrics     Metrics
	tracer      trace.Tracer
}

func (h *Host) observe(s *config.Block) []grpc.DialOption {
	o := &observer{kind: s.Kind, label: s.Label, metrics: h.metrics, tracer: h.tracer}
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(o.unary), grpc.WithChainStreamInterceptor(o.stream)}
}

// observed is a call under way.
type observed struct {
	*observer
	method string
	begun  time.Time
	// span is nil for a call outside of a trace.
	span trace.Span
	once sync.Once
}

func (o *observer) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if !strings.HasPrefix(method, ours) {
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	ctx, call := o.begin(ctx, method)
	err := invoke(ctx, method, req, reply, cc, opts...)
	call.end(err)
	return err
}

func (o *observer) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	// A connection to an MCP server lasts for hours, and is no part of what opened it.
	if !strings.HasPrefix(method, ours) || o.kind == mcptransport.Kind {
		return open(ctx, desc, cc, method, opts...)
	}
	ctx, call := o.begin(ctx, method)
	s, err := open(ctx, desc, cc, method, opts...)
	if err != nil {
		call.end(err)
		return nil, err
	}
	// Whoever leaves a stream before its end ends its context.
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

// observedStream sees the end of a stream.
type observedStream struct {
	grpc.ClientStream
	call *observed
	stop func() bool
	// single says that the plugin sends one message, and that is the end.
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
