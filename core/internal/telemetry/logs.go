package telemetry

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"github.com/agentarea/agentarea/core"
)

// LogHandler is a slog.Handler that adds the fields of the context to each line: request_id, run_id and
// user_id, and with tracing trace_id and span_id. It does not replace fields that a line has already.
type LogHandler struct {
	next slog.Handler
	// own has the keys of the attributes of the logger.
	own []string
}

// NewLogHandler returns a LogHandler that writes to next.
func NewLogHandler(next slog.Handler) *LogHandler { return &LogHandler{next: next} }

// Enabled implements slog.Handler.
func (h *LogHandler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

// Handle implements slog.Handler.
func (h *LogHandler) Handle(ctx context.Context, r slog.Record) error {
	fields := core.LogFieldsFromContext(ctx)
	span := trace.SpanContextFromContext(ctx)
	if fields == (core.LogFields{}) && !span.IsValid() {
		return h.next.Handle(ctx, r)
	}
	line := r.Clone()
	add := func(a slog.Attr) {
		if !h.has(r, a.Key) {
			line.AddAttrs(a)
		}
	}
	fields.Attrs(add)
	if span.IsValid() {
		add(slog.String("trace_id", span.TraceID().String()))
		add(slog.String("span_id", span.SpanID().String()))
	}
	return h.next.Handle(ctx, line)
}

// has reports whether a record or its logger has an attribute with that key.
func (h *LogHandler) has(r slog.Record, key string) (found bool) {
	for _, k := range h.own {
		if k == key {
			return true
		}
	}
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == key
		return !found
	})
	return found
}

// WithAttrs implements slog.Handler.
func (h *LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := &LogHandler{next: h.next.WithAttrs(attrs), own: h.own[:len(h.own):len(h.own)]}
	for _, a := range attrs {
		out.own = append(out.own, a.Key)
	}
	return out
}

// WithGroup implements slog.Handler.
func (h *LogHandler) WithGroup(name string) slog.Handler {
	return &LogHandler{next: h.next.WithGroup(name), own: h.own}
}
