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

// otherMethod and noRoute stand for what a client made up: what it writes is no label.
const (
	otherMethod = "_OTHER"
	noRoute     = "none"
)

// HTTP watches the requests of a listener.
type HTTP struct {
	metrics *Metrics
	tracer  trace.Tracer
	// traced says that spans are made; else what clients say of theirs is not read.
	traced bool
}

// NewHTTP counts in m and makes spans of t.
func NewHTTP(m *Metrics, t *Traces) *HTTP { return &HTTP{metrics: m, tracer: t.Tracer(), traced: t.On} }

// Request is told of a request when it comes, and gives the context that it goes on
// with. It implements api.Observer.
func (h *HTTP) Request(r *http.Request, id string) (ctx context.Context, done func(route string, status int)) {
	begun := time.Now()
	h.metrics.active.Inc()
	ctx, span := h.begin(r, id)
	method := knownMethod(r.Method)
	return ctx, func(route string, status int) {
		h.metrics.active.Dec()
		route = cleanRoute(route)
		if status == 0 {
			status = http.StatusOK
		}
		h.metrics.requests.WithLabelValues(method, route, strconv.Itoa(status)).Observe(since(begun))
		if status == http.StatusTooManyRequests {
			h.metrics.limited.Inc()
		}
		if span != nil {
			endRequest(span, method, route, status)
		}
	}
}

func (h *HTTP) begin(r *http.Request, id string) (context.Context, trace.Span) {
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
		attribute.String("url.path", r.URL.Path), // no query: it may hold what nobody should read
		attribute.String("server.address", r.Host),
		attribute.String("agentarea.request_id", id),
	))
}

func endRequest(span trace.Span, method, route string, status int) {
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

// Stream counts a connection that watches until closed is called.
func (h *HTTP) Stream(kind string) (closed func()) {
	g := h.metrics.streams.WithLabelValues(kind)
	g.Inc()
	return g.Dec
}

func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return m
	}
	return otherMethod
}

// cleanRoute is the same with and without the slash at the end.
func cleanRoute(route string) string {
	switch {
	case route == "" || route == "/*":
		return noRoute
	case len(route) > 1:
		return strings.TrimSuffix(route, "/")
	}
	return route
}
