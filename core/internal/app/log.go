package app

import (
	"io"
	"log/slog"

	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/core/internal/telemetry"
)

// NewLogger returns the server's logger, which writes to w with the level and the format of the
// settings.
func NewLogger(settings *config.Settings, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(settings.LogLevel)) // the command line has validated it
	options := &slog.HandlerOptions{Level: level}
	if settings.LogFormat == "json" {
		return slog.New(telemetry.NewLogHandler(slog.NewJSONHandler(w, options)))
	}
	return slog.New(telemetry.NewLogHandler(slog.NewTextHandler(w, options)))
}
