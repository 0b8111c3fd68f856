package plugin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugin"
)

// Every log record becomes one JSON line with the level of the record.
func FuzzLogLine(f *testing.F) {
	f.Add("a message", "key", "value")
	f.Add("a\nlevel=ERROR msg=forged", "@level", "error")
	f.Add("\x1b[31m\xff\u2028", "", strings.Repeat("x", 40000))
	f.Add(`{"@level":"error"}`, "@message", `"}`)
	f.Fuzz(func(t *testing.T, message, key, value string) {
		var out bytes.Buffer
		log := slog.New(plugin.NewLogHandler(&out, slog.LevelInfo))
		log.LogAttrs(plugin.WithRunID(context.Background(), value), slog.LevelWarn, message, slog.String(key, value),
			slog.Any(key, []string{value}), slog.Group(key, slog.Any(key, value)))
		line := out.Bytes()
		if bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n' || len(line) > 32<<10 {
			t.Fatalf("got %d bytes in %d lines, want one line", len(line), bytes.Count(line, []byte("\n")))
		}
		var got struct {
			Level string `json:"@level"`
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("log line %s is not JSON: %v", line, err)
		}
		if !strings.HasPrefix(key, "@") && !strings.EqualFold(key, "@level") && got.Level != "warn" {
			t.Errorf("log line %s has level %q, want warn", line, got.Level)
		}
	})
}
