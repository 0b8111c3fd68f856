package storage

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/driver/pgdriver"
)

// SetDriverLogger makes the database drivers of this process write to logger instead of standard error. It sets
// global variables without a lock. Call it before the first Open.
func SetDriverLogger(logger *slog.Logger) {
	bun.SetLogger(bunLogger{logger})
	pgdriver.Logger = driverLogger{logger}
}

// bunLogger is the logger of bun.
type bunLogger struct{ logger *slog.Logger }

// Printf logs a line of bun.
func (l bunLogger) Printf(format string, args ...any) {
	l.logger.Warn("database driver reports", "message", driverMessage(format, args))
}

// driverLogger is the logger of bun's PostgreSQL driver.
type driverLogger struct{ logger *slog.Logger }

// Printf logs a line of the driver.
func (l driverLogger) Printf(ctx context.Context, format string, args ...any) {
	l.logger.WarnContext(ctx, "database driver reports", "message", driverMessage(format, args))
}

// driverMessage returns the text of a line without the prefixes that name its level and the driver.
func driverMessage(format string, args []any) string {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	for _, prefix := range []string{"WARN: ", "DEPRECATED: ", "bun: ", "pgdriver: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// debugHandler is a handler that lowers warnings and errors to the level debug, and drops other records.
type debugHandler struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h debugHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle implements slog.Handler.
func (h debugHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h debugHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return debugHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h debugHandler) WithGroup(name string) slog.Handler {
	return debugHandler{h.Handler.WithGroup(name)}
}

// queueLogger returns a logger for River. While the database is down, River repeats its errors several times a
// second, and other parts of the server report the same, so River's lines have the level debug.
func queueLogger(logger *slog.Logger) *slog.Logger {
	return slog.New(debugHandler{logger.Handler()}).With("component", "river")
}
