package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun/driver/pgdriver"
	"go.opentelemetry.io/otel"
	"google.golang.org/grpc/grpclog"

	"github.com/agentarea/agentarea/core/internal/config"
)

// lockedBuffer is a buffer that goroutines of libraries can write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// take returns what has been written since the last call.
func (l *lockedBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

// Libraries that log by themselves write lines of the server's format. Not parallel: RouteLibraryLogs sets global
// variables.
func TestRouteLibraryLogs(t *testing.T) {
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	libraries := map[string]func(){
		"log":      func() { log.Print("Unsolicited response received on idle HTTP channel") },
		"slog":     func() { slog.Warn("a library uses slog") },
		"grpc":     func() { grpclog.Errorf("[transport] connection error: %v", errors.New("EOF")) },
		"grpcLine": func() { grpclog.Errorln("[core]", "two", "words") },
		"pgdriver": func() {
			pgdriver.Logger.Printf(context.Background(), "bun: discarding bad listener connection: %s", "EOF")
		},
		"otel":     func() { otel.Handle(errors.New("traces export: context deadline exceeded")) },
		"net/http": nil,
	}
	for _, format := range []string{"json", "text"} {
		out := &lockedBuffer{}
		logger := NewLogger(&config.Settings{LogLevel: "info", LogFormat: format}, out)
		RouteLibraryLogs(logger)
		libraries["net/http"] = func() {
			h := newHTTPServers()
			h.add(http.NotFoundHandler(), logger)
			h.servers[0].ErrorLog.Print("http: TLS handshake error from 127.0.0.1:1: EOF")
		}
		for name, print := range libraries {
			print()
			wantLines(t, format+" "+name, format, out.take())
		}
	}
}

// wantLines checks that a log has at least one line, and that all lines have the format.
func wantLines(t *testing.T, what, format, text string) {
	t.Helper()
	if text == "" {
		t.Errorf("%s: got no line", what)
	}
	for line := range strings.Lines(text) {
		var fields struct{ Time, Level, Msg string }
		switch {
		case format == "json" && (json.Unmarshal([]byte(line), &fields) != nil || fields.Time == "" || fields.Msg == ""):
			t.Errorf("%s: got line %q, want JSON with a time and a msg", what, line)
		case format == "text" && (!strings.HasPrefix(line, "time=") || !strings.Contains(line, " level=WARN msg=") &&
			!strings.Contains(line, " level=ERROR msg=")):
			t.Errorf("%s: got line %q, want time, level and msg", what, line)
		}
	}
}

// Every duration has a key that names its unit, however it is passed.
func TestNewLogger_durations(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		log  func(*slog.Logger)
		want string
	}{
		"pair":        {func(l *slog.Logger) { l.Info("m", "pause", 1500*time.Millisecond) }, `"pause_ms":1500}`},
		"attribute":   {func(l *slog.Logger) { l.LogAttrs(t.Context(), 0, "m", slog.Duration("duration", 12345678)) }, `"duration_ms":12.346}`},
		"nanoseconds": {func(l *slog.Logger) { l.Info("m", "took", 400*time.Nanosecond) }, `"took_ms":0}`},
		"long":        {func(l *slog.Logger) { l.Info("m", "window", 2*time.Hour) }, `"window_ms":7200000}`},
		"negative":    {func(l *slog.Logger) { l.Info("m", "left", -time.Second) }, `"left_ms":-1000}`},
		"with":        {func(l *slog.Logger) { l.With("grace", time.Second).Info("m") }, `"grace_ms":1000}`},
		"group":       {func(l *slog.Logger) { l.WithGroup("g").Info("m", "wait", time.Second) }, `"g":{"wait_ms":1000}}`},
		"number":      {func(l *slog.Logger) { l.Info("m", "bytes", 5) }, `"bytes":5}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := &lockedBuffer{}
			tt.log(NewLogger(&config.Settings{LogLevel: "info", LogFormat: "json"}, out))
			if got := strings.TrimSpace(out.take()); !strings.HasSuffix(got, tt.want) {
				t.Errorf("got %s, want it to end with %s", got, tt.want)
			}
		})
	}
}
