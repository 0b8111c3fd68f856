package pluginhost

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

// FuzzPluginLog checks that each line of a plugin becomes at most one line of the server's
// log, in both formats, and that it names the plugin.
func FuzzPluginLog(f *testing.F) {
	for _, s := range []string{
		"plain\n", "{\"@level\":\"error\",\"@message\":\"m\",\"plugin\":\"agent/other\",\"level\":\"INFO\",\"time\":1}\n",
		"a\rlevel=ERROR msg=forged\n", "\x1b[31mred\x1b[0m\n",
		"panic: x\n\ngoroutine 1 [running]:\n", "{\"@message\":{\"a\":[1e999]}}\n",
		"\xff\u2028\u0085\n", "{\"@message\":\"a\",\"k\\n\":\"v\\nlevel=ERROR\"}\n", "no end",
		"{\"@message\":\"m\",\"@timestamp\":\"9999999-01-01\",\"error\":\"e\"}\n", strings.Repeat("x", 70000),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, written []byte) {
		lines := bytes.Count(written, []byte("\n")) + 1
		for format, handler := range map[string]func(*bytes.Buffer) slog.Handler{
			"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var out bytes.Buffer
			log := newPluginLog(slog.New(handler(&out)).With("plugin", "llm/test"), func(s string) string { return s })
			log.read(bytes.NewReader(written))
			got := bytes.Count(out.Bytes(), []byte("\n"))
			if got > lines || bytes.ContainsAny(out.Bytes(), "\r\x1b") {
				t.Fatalf("%s: got %[3]d log lines from %[2]d lines: %[4]q", format, lines, got, out.Bytes())
			}
			for line := range bytes.Lines(out.Bytes()) {
				var fields map[string]any
				if format == "json" && (json.Unmarshal(line, &fields) != nil || fields["plugin"] != "llm/test") ||
					!bytes.Contains(line, []byte("llm/test")) {
					t.Errorf("%s: %q", format, line)
				}
			}
		}
	})
}
