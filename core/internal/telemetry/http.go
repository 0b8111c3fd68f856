package telemetry

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// otherMethod and noRoute are the labels of unknown methods and routes. Text from clients must not become a
// label.
const (
	otherMethod = "_OTHER"
	noRoute     = "none"
)

// HTTP records metrics and spans of requests.
type HTTP struct {
	metrics *Metrics
	tracer  trace.Tracer
	// traced means that spans are recorded. Without it, trace headers of clients are ignored.
	traced bool
}

// NewHTTP returns an HTTP that records metrics in m and spans in t.
func NewHTTP(m *Metrics, t *Traces) *HTTP { return &HTTP{metrics: m, tracer: t.Tracer(), traced: t.On} }

// Request records the start of a request. It returns the context for the request and a function that records
// its end. It implements api.Observer.
func (h *HTTP) Request(r *http.Request, id string) (ctx context.Context, done func(route string, status int)) {
	start := time.Now()
	h.metrics.active.Inc()
	ctx, span := h.startSpan(r, id)
	method := knownMethod(r.Method)
	return ctx, func(route string, status int) {
		h.metrics.active.Dec()
		route = cleanRoute(route)
		if status == 0 {
			status = http.StatusOK
		}
		h.metrics.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(since(start))
		if status == http.StatusTooManyRequests {
			h.metrics.limited.Inc()
		}
		if span != nil {
			endSpan(span, method, route, status)
		}
	}
}

// startSpan starts the span of a request. The span is nil if tracing is off.
func (h *HTTP) startSpan(r *http.Request, id string) (context.Context, trace.Span) {
	if !h.traced {
		return r.Context(), nil
	}
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return h.tracer.Start(ctx, knownMethod(r.Method), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", knownMethod(r.Method)),
		attribute.String("url.scheme", scheme),
		attribute.String("url.path", r.URL.Path), // without the query, which may contain secrets
		attribute.String("server.address", r.Host),
		attribute.String("agentarea.request_id", id),
	))
}

func endSpan(span trace.Span, method, route string, status int) {
	if route != noRoute {
		span.SetName(method + " " + route)
		span.SetAttributes(attribute.String("http.route", route))
	}
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetAttributes(attribute.String("error.type", strconv.Itoa(status)))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// Stream counts an open event stream or WebSocket until closed is called.
func (h *HTTP) Stream(kind string) (closed func()) {
	g := h.metrics.streams.WithLabelValues(kind)
	g.Inc()
	return g.Dec
}

// knownMethod returns m if it is a standard method, and otherwise otherMethod.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return m
	}
	return otherMethod
}

// cleanRoute returns a route without its trailing slash, or noRoute.
func cleanRoute(route string) string {
	switch {
	case route == "" || route == "/*":
		return noRoute
	case len(route) > 1:
		return strings.TrimSuffix(route, "/")
	}
	return route
}
