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

// maxLogLine bounds a line in bytes; the host would lose what is far longer.
const maxLogLine = 32 << 10

type runIDKey struct{}

// WithRunID gives the run's id to the lines that are logged with ctx.
func WithRunID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, runIDKey{}, id)
}

// RunID is what WithRunID gave, or empty.
func RunID(ctx context.Context) string {
	id, _ := ctx.Value(runIDKey{}).(string)
	return id
}

// logLevel is that of AGENTAREA_LOG_LEVEL, info without.
func logLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(os.Getenv("AGENTAREA_LOG_LEVEL"))); err != nil {
		return slog.LevelInfo
	}
	return level
}

// NewLogHandler writes lines of JSON as go-plugin's host reads them (@level,
// @message, @timestamp, and the attributes beside them), with run_id from the
// context. Groups become dotted names. A line is at most 32 KiB long.
func NewLogHandler(w io.Writer, level slog.Leveler) slog.Handler {
	return &logHandler{out: &lineWriter{w: w}, level: level}
}

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

type logHandler struct {
	out    *lineWriter
	level  slog.Leveler
	prefix string
	attrs  []slog.Attr
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = slices.Clip(h.attrs)
	for _, a := range attrs {
		a.Key = h.prefix + a.Key
		next.attrs = append(next.attrs, a)
	}
	return &next
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	next := *h
	if name != "" {
		next.prefix += name + "."
	}
	return &next
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	line := make([]byte, 0, 256)
	line = append(line, `{"@level":"`+levelWord(r.Level)+`","@timestamp":"`...)
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

func levelWord(l slog.Level) string {
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
	// A name with @ would be taken for the line's own.
	key := strings.TrimLeft(prefix+a.Key, "@")
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

// appendAny writes errors and stringers as text, and other things as JSON.
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

// room is how long the line may yet get, but for what closes it.
func room(line []byte) int { return maxLogLine - len(line) - len("}\n") }

// appendText writes a JSON string, cut so that the line keeps its bound.
func appendText(line []byte, s string) []byte {
	data, _ := json.Marshal(s)
	for cut := s; len(data) > room(line) && cut != ""; {
		cut = cut[:max(0, min(len(cut)/2, room(line)))]
		data, _ = json.Marshal(cut + "…")
	}
	return append(line, data...)
}
