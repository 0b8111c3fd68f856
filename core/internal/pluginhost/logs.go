package pluginhost

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// maxLine is the number of bytes of a line that are read. The rest of the line is
	// dropped.
	maxLine = 1 << 20
	// maxRecord is the number of bytes of a line that are logged.
	maxRecord = 32 << 10
	// maxTail is the number of lines of stderr that are kept, each up to maxTailLine bytes.
	maxTail     = 20
	maxTailLine = 500
)

// pluginLog turns the output of a plugin into log records of the server with
// plugin=kind/label. It parses lines of hclog JSON and takes any other line of stderr as
// a message.
type pluginLog struct {
	handler slog.Handler
	mask    func(string) string

	mu       sync.Mutex
	tail     []string
	panicked bool
}

func newPluginLog(log *slog.Logger, mask func(string) string) *pluginLog {
	return &pluginLog{handler: log.Handler(), mask: mask}
}

// levelHandler is a handler that also discards the records below a level.
type levelHandler struct {
	slog.Handler
	level slog.Level
}

// Enabled implements slog.Handler.
func (h levelHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h levelHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return levelHandler{h.Handler.WithAttrs(attrs), h.level}
}

// WithGroup implements slog.Handler.
func (h levelHandler) WithGroup(name string) slog.Handler {
	return levelHandler{h.Handler.WithGroup(name), h.level}
}

// atLevel returns a logger that discards the records below the level that is named. An empty name discards
// nothing.
func atLevel(logger *slog.Logger, name string) *slog.Logger {
	var level slog.Level
	if name == "" || level.UnmarshalText([]byte(name)) != nil {
		return logger
	}
	return slog.New(levelHandler{logger.Handler(), level})
}

// read logs stderr until it ends.
func (l *pluginLog) read(r io.Reader) {
	forEachLine(bufio.NewReaderSize(r, 32<<10), l.stderr)
}

// forEachLine calls f with each line, without its newline and truncated to maxLine. The
// slice is valid only during the call.
func forEachLine(r *bufio.Reader, f func(line []byte)) {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece[:min(len(piece), maxLine-len(line))]...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			f(line)
		}
		if err != nil {
			return
		}
		if cap(line) > 2*maxRecord {
			line = nil // do not retain the memory of one long line
		}
		line = line[:0]
	}
}

func (l *pluginLog) stderr(line []byte) {
	fields, ok := parseEntry(line)
	if !ok {
		l.logText(validUTF8(line))
		return
	}
	l.logEntry(fields)
}

// parseEntry returns the fields of a line of hclog JSON. ok is false for any other line.
func parseEntry(line []byte) (fields map[string]any, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	ok = line[0] == '{' && decoder.Decode(&fields) == nil && fields["@message"] != nil
	return fields, ok
}

// deleteOwn deletes the fields that hclog adds to each line.
func deleteOwn(fields map[string]any) {
	for _, own := range []string{"@message", "@level", "@timestamp", "@caller"} {
		delete(fields, own)
	}
}

// logText logs a line that is not hclog JSON. From a Go panic on, all lines are errors.
// The tail keeps the panic's reason but not its stack, because the reason matters more.
func (l *pluginLog) logText(text string) {
	reason := strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ")
	l.mu.Lock()
	l.panicked = l.panicked || reason
	stack := l.panicked && !reason
	l.mu.Unlock()
	if !stack {
		l.keepTail(text)
	}
	level := slog.LevelInfo
	if stack || reason {
		level = slog.LevelError
	}
	l.log(level, time.Now(), text, nil)
}

// logEntry logs one line of hclog JSON.
func (l *pluginLog) logEntry(fields map[string]any) {
	message, level, at := fmt.Sprint(fields["@message"]), levelOf(fields["@level"]), time.Now()
	if text, ok := fields["@timestamp"].(string); ok {
		if t, err := time.Parse("2006-01-02T15:04:05.000000Z07:00", text); err == nil {
			at = t
		}
	}
	deleteOwn(fields)
	if level >= slog.LevelWarn {
		l.keepTail(summary(message, fields))
	}
	l.log(level, at, message, fields)
}

func summary(message string, fields map[string]any) string {
	for _, key := range []string{"error", "err"} {
		if v, ok := fields[key]; ok {
			return fmt.Sprintf("%s: %v", message, v)
		}
	}
	return message
}

// log writes a record of at most maxRecord bytes.
func (l *pluginLog) log(level slog.Level, at time.Time, message string, fields map[string]any) {
	ctx := context.Background() // the process belongs to no request; its lines carry their own run_id
	if !l.handler.Enabled(ctx, level) {
		return
	}
	budget := maxRecord
	r := slog.NewRecord(at, level, truncate(l.mask(message), &budget), 0)
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		value := fields[key]
		switch v := value.(type) {
		case string:
			value = truncate(l.mask(v), &budget)
		case map[string]any, []any:
			b, _ := json.Marshal(v) // v was decoded from JSON
			value = truncate(l.mask(string(b)), &budget)
		}
		if budget -= len(key); budget <= 0 {
			break
		}
		switch key {
		case slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey, "plugin":
			key = "plugin_" + key // the server sets these keys itself
		}
		r.AddAttrs(slog.Any(key, value))
	}
	_ = l.handler.Handle(ctx, r) // a failed log write cannot be reported
}

// stdout logs a line that the process printed. early reports that the line came before
// the handshake; it is then logged as a warning.
func (l *pluginLog) stdout(line string, early bool) {
	level := slog.LevelDebug
	if early {
		level = slog.LevelWarn
		l.keepTail(line)
	}
	l.log(level, time.Now(), validUTF8([]byte(line)), map[string]any{"stream": "stdout"})
}

// outputWriter returns a writer for a Go plugin's os.Stdout or os.Stderr, which go-plugin
// forwards.
func (l *pluginLog) outputWriter(stream string) io.Writer {
	return &lineWriter{line: func(line string) {
		if stream == "stderr" {
			l.keepTail(line)
		}
		l.log(slog.LevelDebug, time.Now(), line, map[string]any{"stream": stream})
	}}
}

// goPluginWriter returns a writer for go-plugin's own log, which has the format of hclog JSON. The host reports
// what go-plugin logs, so these lines have the level debug.
func (l *pluginLog) goPluginWriter() io.Writer {
	return &lineWriter{line: func(line string) {
		fields, ok := parseEntry([]byte(line))
		if !ok {
			l.log(slog.LevelDebug, time.Now(), line, nil)
			return
		}
		message := fmt.Sprint(fields["@message"])
		deleteOwn(fields)
		l.log(slog.LevelDebug, time.Now(), message, fields)
	}}
}

func (l *pluginLog) keepTail(line string) {
	budget := maxTailLine
	line = truncate(l.mask(line), &budget)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.tail) == maxTail {
		l.tail = slices.Delete(l.tail, 0, 1)
	}
	l.tail = append(l.tail, line)
}

// tailLines returns the last n lines of stderr, without structured ones below warn.
func (l *pluginLog) tailLines(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.tail[max(0, len(l.tail)-n):])
}

func levelOf(word any) slog.Level {
	switch word {
	case "trace", "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// truncate returns at most *budget bytes of s and subtracts them from *budget.
func truncate(s string, budget *int) string {
	if len(s) <= *budget {
		*budget -= len(s)
		return s
	}
	end := max(0, *budget)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	*budget = 0
	return fmt.Sprintf("%s… (%d bytes)", s[:end], len(s))
}

func validUTF8(line []byte) string { return strings.ToValidUTF8(string(line), "\uFFFD") }

// lineWriter calls line with each complete line, truncated to maxRecord.
type lineWriter struct {
	mu   sync.Mutex
	rest []byte
	line func(string)
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(b)
	for {
		head, tail, found := bytes.Cut(b, []byte("\n"))
		w.rest = append(w.rest, head[:min(len(head), maxRecord-len(w.rest))]...)
		if !found {
			return n, nil
		}
		if len(w.rest) > 0 {
			w.line(validUTF8(w.rest))
		}
		w.rest, b = w.rest[:0], tail
	}
}
