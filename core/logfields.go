package core

import (
	"context"
	"log/slog"
)

// LogFields say whose work something is: every line of the log that is written with
// their context has them. Empty ones are left out.
type LogFields struct {
	// RequestID is that of the request that began the work.
	RequestID string
	RunID     string
	UserID    string
}

type logFieldsKey struct{}

// WithLogFields gives the fields to the lines that are logged with the context. Those
// that are empty stay as they are.
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

// LogFieldsFromContext gives the context's.
func LogFieldsFromContext(ctx context.Context) LogFields {
	if f, ok := ctx.Value(logFieldsKey{}).(*LogFields); ok {
		return *f
	}
	return LogFields{}
}

// Attrs calls f with each field that is there.
func (l LogFields) Attrs(f func(slog.Attr)) {
	for _, field := range [...]struct{ key, value string }{
		{"request_id", l.RequestID}, {"run_id", l.RunID}, {"user_id", l.UserID},
	} {
		if field.value != "" {
			f(slog.String(field.key, field.value))
		}
	}
}
