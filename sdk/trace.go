package sdk

import (
	"context"
	"net/http"
	"strings"
)

// Trace is the position of a call in a distributed trace, as defined by W3C Trace Context. A plugin
// that sends it with its requests makes the spans of the other side part of the server's trace. For
// this, the plugin does not need to create spans itself.
type Trace struct {
	// Parent and State are the values of the headers traceparent and tracestate. Parent is empty if
	// the call is not part of a trace.
	Parent, State string
}

type traceKey struct{}

// WithTrace returns a copy of ctx that carries the trace t. The contexts of the host's calls carry
// their traces.
func WithTrace(ctx context.Context, t Trace) context.Context {
	if t.Parent == "" {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf returns the trace that ctx carries, or the zero Trace if it carries none.
func TraceOf(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}

// ID returns the trace ID, which has 32 hexadecimal digits, or "" if there is no trace.
func (t Trace) ID() string {
	if parts := strings.SplitN(t.Parent, "-", 4); len(parts) == 4 {
		return parts[1]
	}
	return ""
}

// SetHeaders sets the headers traceparent and tracestate of a request, unless it already has a
// traceparent.
func (t Trace) SetHeaders(h http.Header) {
	if t.Parent == "" || h.Get("Traceparent") != "" {
		return
	}
	h.Set("Traceparent", t.Parent)
	if t.State != "" {
		h.Set("Tracestate", t.State)
	}
}
