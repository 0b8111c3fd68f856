package sdk

import (
	"context"
	"net/http"
	"strings"
)

// Trace is where a call belongs in a distributed trace, as the W3C's Trace Context
// has it: the headers traceparent and tracestate. Whoever passes it on has the other side's
// spans in the server's trace; nobody needs to make spans for that.
type Trace struct {
	// Parent is empty when the call is no part of a trace.
	Parent, State string
}

type traceKey struct{}

// WithTrace gives the trace to what is done with the context. The host's calls of
// plugins have theirs.
func WithTrace(ctx context.Context, t Trace) context.Context {
	if t.Parent == "" {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf gives the context's trace; the zero one without.
func TraceOf(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}

// ID is the trace's own, of 32 digits, as traces are found by; empty without.
func (t Trace) ID() string {
	if parts := strings.SplitN(t.Parent, "-", 4); len(parts) == 4 {
		return parts[1]
	}
	return ""
}

// SetHeaders sets the headers of a request that is part of the trace, unless it has
// them already.
func (t Trace) SetHeaders(h http.Header) {
	if t.Parent == "" || h.Get("Traceparent") != "" {
		return
	}
	h.Set("Traceparent", t.Parent)
	if t.State != "" {
		h.Set("Tracestate", t.State)
	}
}
