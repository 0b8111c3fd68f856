package plugin

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"google.golang.org/grpc/grpclog"
)

// grpcLogger implements grpclog.LoggerV2.
type grpcLogger struct{ logger *slog.Logger }

// NewGRPCLogger returns a logger for grpclog.SetLoggerV2 that writes the errors of gRPC to logger as warnings, and its
// warnings at the level debug, because calls return the errors that matter. It drops informational lines.
func NewGRPCLogger(logger *slog.Logger) grpclog.LoggerV2 { return grpcLogger{logger} }

func (grpcLogger) Info(...any)          {}
func (grpcLogger) Infoln(...any)        {}
func (grpcLogger) Infof(string, ...any) {}

func (l grpcLogger) Warning(args ...any)            { l.debug(fmt.Sprint(args...)) }
func (l grpcLogger) Warningln(args ...any)          { l.debug(fmt.Sprintln(args...)) }
func (l grpcLogger) Warningf(f string, args ...any) { l.debug(fmt.Sprintf(f, args...)) }
func (l grpcLogger) Error(args ...any)              { l.warn(fmt.Sprint(args...)) }
func (l grpcLogger) Errorln(args ...any)            { l.warn(fmt.Sprintln(args...)) }
func (l grpcLogger) Errorf(f string, args ...any)   { l.warn(fmt.Sprintf(f, args...)) }
func (l grpcLogger) Fatal(args ...any)              { l.fatal(fmt.Sprint(args...)) }
func (l grpcLogger) Fatalln(args ...any)            { l.fatal(fmt.Sprintln(args...)) }
func (l grpcLogger) Fatalf(f string, args ...any)   { l.fatal(fmt.Sprintf(f, args...)) }

// V implements grpclog.LoggerV2. gRPC asks it before it formats verbose informational lines.
func (grpcLogger) V(int) bool { return false }

func (l grpcLogger) debug(text string) {
	l.logger.Debug("gRPC reports", "message", strings.TrimSpace(text))
}

func (l grpcLogger) warn(text string) {
	l.logger.Warn("gRPC reports", "message", strings.TrimSpace(text))
}

// fatal logs the line and ends the process, as grpclog requires.
func (l grpcLogger) fatal(text string) {
	l.logger.Error("gRPC cannot continue", "message", strings.TrimSpace(text))
	os.Exit(1)
}
