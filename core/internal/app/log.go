package app

import (
	"io"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"google.golang.org/grpc/grpclog"

	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/core/internal/telemetry"
	"github.com/agentarea/agentarea/sdk/plugin"
	"github.com/agentarea/agentarea/storage"
)

// NewLogger returns the server's logger, which writes to w with the level and the format of the
// settings. It writes a duration as a number of milliseconds, and appends _ms to its key.
func NewLogger(settings *config.Settings, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(settings.LogLevel)) // the command line has validated it
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: durationInMilliseconds}
	if settings.LogFormat == config.LogFormatJSON {
		return slog.New(telemetry.NewLogHandler(slog.NewJSONHandler(w, options)))
	}
	return slog.New(telemetry.NewLogHandler(slog.NewTextHandler(w, options)))
}

// durationInMilliseconds is the ReplaceAttr of the logger. JSON would have nanoseconds without a unit, and text
// different units.
func durationInMilliseconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindDuration {
		return a
	}
	ms := float64(a.Value.Duration().Round(time.Microsecond)) / float64(time.Millisecond)
	return slog.Float64(a.Key+"_ms", ms)
}

// RouteLibraryLogs makes the libraries of this process write to logger, so that all lines have one format: those
// that use Go's package log, gRPC, OpenTelemetry and the database drivers. It sets global variables without a lock.
// Call it once, before Open.
func RouteLibraryLogs(logger *slog.Logger) {
	slog.SetLogLoggerLevel(slog.LevelWarn) // the level of package log, which has none
	slog.SetDefault(logger)
	grpclog.SetLoggerV2(plugin.NewGRPCLogger(logger.With("component", "grpc")))
	otel.SetLogger(logr.FromSlogHandler(logger.With("component", "opentelemetry").Handler()))
	storage.SetDriverLogger(logger.With("component", "database_driver"))
}
