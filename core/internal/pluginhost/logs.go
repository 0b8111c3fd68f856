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
	// maxLine is how much of a line is read before it is judged, in bytes; the
	// rest of it is dropped.
	maxLine = 1 << 20
	// maxRecord is how much of a line is logged, in bytes.
	maxRecord = 32 << 10
	// Of the last lines of stderr, maxTail are kept, each up to maxTailLine bytes.
	maxTail     = 20
	maxTailLine = 500
)

// pluginLog turns what a plugin writes into lines of the server's log, with
// plugin=kind/label. It reads lines of hclog's JSON, and takes any other line
// of stderr as a message.
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

// read logs stderr until its end.
func (l *pluginLog) read(r io.Reader) {
	eachLine(bufio.NewReaderSize(r, 32<<10), l.stderr)
}

// eachLine calls f with each line, without its newline and cut at maxLine. The
// slice is valid during the call only.
func eachLine(r *bufio.Reader, f func(line []byte)) {
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
			line = nil // one long line shall not hold its memory
		}
		line = line[:0]
	}
}

func (l *pluginLog) stderr(line []byte) {
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	if line[0] != '{' || decoder.Decode(&fields) != nil || fields["@message"] == nil {
		l.plain(clean(line))
		return
	}
	l.entry(fields)
}

// plain logs a line of any other form. From a Go panic on, all is an error, and
// the stack is kept out of the last lines: there the reason counts.
func (l *pluginLog) plain(text string) {
	reason := strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ")
	l.mu.Lock()
	l.panicked = l.panicked || reason
	stack := l.panicked && !reason
	l.mu.Unlock()
	if !stack {
		l.remember(text)
	}
	level := slog.LevelInfo
	if stack || reason {
		level = slog.LevelError
	}
	l.log(level, time.Now(), text, nil)
}

// entry logs one line of hclog's JSON.
func (l *pluginLog) entry(fields map[string]any) {
	message, level, at := fmt.Sprint(fields["@message"]), levelOf(fields["@level"]), time.Now()
	if text, ok := fields["@timestamp"].(string); ok {
		if t, err := time.Parse("2006-01-02T15:04:05.000000Z07:00", text); err == nil {
			at = t
		}
	}
	for _, own := range []string{"@message", "@level", "@timestamp", "@caller"} {
		delete(fields, own)
	}
	if level >= slog.LevelWarn {
		l.remember(summary(message, fields))
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
	ctx := context.Background() // a process is nobody's: its line itself says of which run it is
	if !l.handler.Enabled(ctx, level) {
		return
	}
	room := maxRecord
	r := slog.NewRecord(at, level, cut(l.mask(message), &room), 0)
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		value := fields[key]
		switch v := value.(type) {
		case string:
			value = cut(l.mask(v), &room)
		case map[string]any, []any:
			b, _ := json.Marshal(v) // it came from JSON
			value = cut(l.mask(string(b)), &room)
		}
		if room -= len(key); room <= 0 {
			break
		}
		switch key {
		case slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey, "plugin":
			key = "plugin_" + key // the server's own words
		}
		r.AddAttrs(slog.Any(key, value))
	}
	_ = l.handler.Handle(ctx, r) // nowhere else to say it
}

// stdout logs a line that the process printed there, loudly if it stands in
// the way of the handshake.
func (l *pluginLog) stdout(line string, early bool) {
	level := slog.LevelDebug
	if early {
		level = slog.LevelWarn
		l.remember(line)
	}
	l.log(level, time.Now(), clean([]byte(line)), map[string]any{"stream": "stdout"})
}

// synced is a writer for what go-plugin carries of a Go plugin's os.Stdout and
// os.Stderr.
func (l *pluginLog) synced(stream string) io.Writer {
	return &lineWriter{line: func(line string) {
		if stream == "stderr" {
			l.remember(line)
		}
		l.log(slog.LevelDebug, time.Now(), line, map[string]any{"stream": stream})
	}}
}

// chatter is a writer for go-plugin's own log.
func (l *pluginLog) chatter() io.Writer {
	return &lineWriter{line: func(line string) {
		l.log(slog.LevelDebug, time.Now(), line, nil)
	}}
}

func (l *pluginLog) remember(line string) {
	room := maxTailLine
	line = cut(l.mask(line), &room)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.tail) == maxTail {
		l.tail = slices.Delete(l.tail, 0, 1)
	}
	l.tail = append(l.tail, line)
}

// last gives the last n lines of stderr, but for structured ones below warn.
func (l *pluginLog) last(n int) []string {
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

// cut takes at most *room bytes of s and counts them off.
func cut(s string, room *int) string {
	if len(s) <= *room {
		*room -= len(s)
		return s
	}
	end := max(0, *room)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	*room = 0
	return fmt.Sprintf("%s… (%d bytes)", s[:end], len(s))
}

func clean(line []byte) string { return strings.ToValidUTF8(string(line), "\uFFFD") }

// lineWriter calls line with each line that is written, cut at maxRecord.
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
			w.line(clean(w.rest))
		}
		w.rest, b = w.rest[:0], tail
	}
}
