package core

import (
	"context"
	"log/slog"
)

// LogFields identify the request, the run and the user that code works for. Every log record that
// is written with their context contains the fields that are not empty.
type LogFields struct {
	// RequestID is the id of the request that started the work.
	RequestID string
	RunID     string
	UserID    string
}

type logFieldsKey struct{}

// WithLogFields returns a context that adds the fields of f to its log records. An empty field of f
// keeps the value from ctx.
func WithLogFields(ctx context.Context, f LogFields) context.Context {
	old := LogFieldsFromContext(ctx)
	if f.RequestID == "" {
		f.RequestID = old.RequestID
	}
	if f.RunID == "" {
		f.RunID = old.RunID
	}
	if f.UserID == "" {
		f.UserID = old.UserID
	}
	return context.WithValue(ctx, logFieldsKey{}, &f)
}

// LogFieldsFromContext returns the log fields of ctx. They are empty if ctx has none.
func LogFieldsFromContext(ctx context.Context) LogFields {
	if f, ok := ctx.Value(logFieldsKey{}).(*LogFields); ok {
		return *f
	}
	return LogFields{}
}

// Attrs calls f with each field that is not empty.
func (l LogFields) Attrs(f func(slog.Attr)) {
	for _, field := range [...]struct{ key, value string }{
		{"request_id", l.RequestID}, {"run_id", l.RunID}, {"user_id", l.UserID},
	} {
		if field.value != "" {
			f(slog.String(field.key, field.value))
		}
	}
}
