package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxLogLine is the maximum length of a line in bytes. The host drops much longer lines.
const maxLogLine = 32 << 10

type runIDKey struct{}

// WithRunID returns a copy of ctx that carries the ID of a run. Log lines that use the context contain
// the ID.
func WithRunID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, runIDKey{}, id)
}

// RunID returns the run ID that ctx carries, or "" if it carries none.
func RunID(ctx context.Context) string {
	id, _ := ctx.Value(runIDKey{}).(string)
	return id
}

// logLevel returns the level in AGENTAREA_LOG_LEVEL. The default is info.
func logLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(os.Getenv("AGENTAREA_LOG_LEVEL"))); err != nil {
		return slog.LevelInfo
	}
	return level
}

// NewLogHandler returns a handler that writes JSON lines in the format of go-plugin: @level, @message,
// @timestamp and the attributes. It adds run_id from the context. Attributes in groups have dotted
// names, and durations are numbers of milliseconds, with _ms after their names. A line has at most 32 KiB.
func NewLogHandler(w io.Writer, level slog.Leveler) slog.Handler {
	return &logHandler{out: &lineWriter{w: w}, level: level}
}

// lineWriter serializes the writes of lines.
type lineWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lineWriter) write(line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.w.Write(line)
	return err
}

// logHandler implements slog.Handler for NewLogHandler.
type logHandler struct {
	out    *lineWriter
	level  slog.Leveler
	prefix string
	attrs  []slog.Attr
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = slices.Clip(h.attrs)
	for _, a := range attrs {
		a.Key = h.prefix + a.Key
		next.attrs = append(next.attrs, a)
	}
	return &next
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	next := *h
	if name != "" {
		next.prefix += name + "."
	}
	return &next
}

// Handle implements slog.Handler.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	line := make([]byte, 0, 256)
	line = append(line, `{"@level":"`+levelName(r.Level)+`","@timestamp":"`...)
	line = r.Time.AppendFormat(line, "2006-01-02T15:04:05.000000Z07:00")
	line = append(line, `","@message":`...)
	line = appendText(line, r.Message)
	if id := RunID(ctx); id != "" {
		line = appendAttr(line, "", slog.String("run_id", id))
	}
	for _, a := range h.attrs {
		line = appendAttr(line, "", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		line = appendAttr(line, h.prefix, a)
		return true
	})
	return h.out.write(append(line, "}\n"...))
}

func levelName(l slog.Level) string {
	switch {
	case l < slog.LevelDebug:
		return "trace"
	case l < slog.LevelInfo:
		return "debug"
	case l < slog.LevelWarn:
		return "info"
	case l < slog.LevelError:
		return "warn"
	}
	return "error"
}

func appendAttr(line []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return line
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, inner := range v.Group() {
			line = appendAttr(line, prefix, inner)
		}
		return line
	}
	// Names that start with @ are reserved for the format.
	key := strings.TrimLeft(prefix+a.Key, "@")
	if v.Kind() == slog.KindDuration {
		key += "_ms" // as in the lines of the server
		v = slog.Float64Value(float64(v.Duration().Round(time.Microsecond)) / float64(time.Millisecond))
	}
	if room(line) < len(key)+64 {
		return line
	}
	line = append(line, ',')
	line = appendText(line, key)
	line = append(line, ':')
	return appendValue(line, v)
}

func appendValue(line []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindBool, slog.KindInt64, slog.KindUint64, slog.KindFloat64:
		if data, err := json.Marshal(v.Any()); err == nil {
			return append(line, data...)
		}
	case slog.KindTime:
		return appendText(line, v.Time().Format(time.RFC3339Nano))
	case slog.KindAny:
		return appendAny(line, v.Any())
	case slog.KindString, slog.KindDuration, slog.KindGroup, slog.KindLogValuer:
	}
	return appendText(line, v.String())
}

// appendAny appends an error or fmt.Stringer as text, and any other value as JSON.
func appendAny(line []byte, v any) []byte {
	switch v := v.(type) {
	case error:
		return appendText(line, v.Error())
	case fmt.Stringer:
		return appendText(line, v.String())
	}
	data, err := json.Marshal(v)
	if err != nil || len(data) > room(line) {
		return appendText(line, fmt.Sprintf("%+v", v))
	}
	return append(line, data...)
}

// room returns the number of bytes that can be appended to the line before its end.
func room(line []byte) int { return maxLogLine - len(line) - len("}\n") }

// appendText appends a JSON string. It shortens the string if the line would be too long.
func appendText(line []byte, s string) []byte {
	data, _ := json.Marshal(s)
	for short := s; len(data) > room(line) && short != ""; {
		short = short[:max(0, min(len(short)/2, room(line)))]
		data, _ = json.Marshal(short + "…")
	}
	return append(line, data...)
}
