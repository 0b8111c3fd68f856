package plugin_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk/plugin"
)

func TestLogHandler_format(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(plugin.NewLogHandler(&out, slog.LevelDebug))
	ctx := plugin.WithRunID(t.Context(), "run-1")
	log.With("a", 1).WithGroup("g").With("b", true).WarnContext(ctx, "two\nlines",
		slog.Any("err", errors.New("bad")), slog.Duration("took", time.Second), slog.Group("h", slog.Float64("c", 0.5)),
		slog.Any("list", []int{1, 2}), slog.Any("nothing", nil))
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Fatalf("got %d lines, want 1: %s", n, out.String())
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"@level": "warn", "@message": "two\nlines", "run_id": "run-1", "a": 1.0, "g.b": true,
		"g.err": "bad", "g.took_ms": 1000.0, "g.h.c": 0.5,
	} {
		if got[key] != want {
			t.Errorf("%s = %v, want %v", key, got[key], want)
		}
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000000Z07:00", got["@timestamp"].(string)); err != nil {
		t.Error(err)
	}
	if list, ok := got["g.list"].([]any); !ok || len(list) != 2 {
		t.Errorf("g.list = %v, want 2 items", got["g.list"])
	}
}

func TestLogHandler_levels(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level]string{
		slog.LevelDebug - 4: "trace", slog.LevelDebug: "debug", slog.LevelInfo: "info",
		slog.LevelWarn: "warn", slog.LevelError: "error", 12: "error",
	} {
		var out bytes.Buffer
		slog.New(plugin.NewLogHandler(&out, slog.LevelDebug-4)).Log(t.Context(), level, "m")
		if !strings.Contains(out.String(), `"@level":"`+want+`"`) {
			t.Errorf("log line at level %v = %s, want level %s", level, out.String(), want)
		}
	}
	if slog.New(plugin.NewLogHandler(nil, slog.LevelInfo)).Enabled(t.Context(), slog.LevelDebug) {
		t.Error("Enabled(debug) = true with the level info, want false")
	}
}

// The host can decode every line.
func TestLogHandler_boundsLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\x01é", 100_000)
	for name, log := range map[string]func(*slog.Logger){
		"message": func(l *slog.Logger) { l.Info(long) },
		"value":   func(l *slog.Logger) { l.Info("m", "v", long, "w", long) },
		"key":     func(l *slog.Logger) { l.Info("m", long, "v") },
		"json":    func(l *slog.Logger) { l.Info("m", "v", []string{long}) },
		"many": func(l *slog.Logger) {
			l.Info("m", slog.Any("a", long[:20_000]), slog.Any("b", long[:20_000]), slog.Int("c", 1))
		},
		"own keys":  func(l *slog.Logger) { l.Info("m", "@message", 5, "@level", 7, "@timestamp", true) },
		"not to be": func(l *slog.Logger) { l.Info("m", "f", func() {}, "c", make(chan int)) },
		"bad utf-8": func(l *slog.Logger) { l.Info("\xff\xfe", "v", "\xff") },
	} {
		var out bytes.Buffer
		log(slog.New(plugin.NewLogHandler(&out, slog.LevelInfo)))
		if out.Len() > 33<<10 {
			t.Errorf("%s: got a line of %d bytes, want at most 32 KiB", name, out.Len())
		}
		var got map[string]any
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Errorf("%s: the log line is not JSON: %v", name, err)
		}
		if _, ok := got["@message"].(string); !ok || got["@level"] != "info" {
			t.Errorf("%s: got %.200s, want a line at level info with a message", name, out.String())
		}
	}
}
