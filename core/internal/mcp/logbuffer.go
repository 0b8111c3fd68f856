package mcp

import (
	"context"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

// Sources of log lines.
const (
	sourceStderr = "stderr"
	sourceHost   = "host"
)

const (
	// maxLine limits the length of a line, in bytes.
	maxLine = 16 << 10
	// lineCost is the memory that a line takes in addition to its text, in bytes.
	lineCost = 96
	// readAtOnce is the number of lines that a reader copies at a time.
	readAtOnce = 256
)

// logBuffer is a server's log: the last lines of its connections and its supervisor, up to
// a number of bytes. Adding a line never waits for a reader.
type logBuffer struct {
	max int

	mu sync.Mutex
	// lines are the newest lines. The first dropped elements are empty.
	lines   []core.MCPLogLine
	dropped int
	bytes   int
	last    int64
	closed  bool
	// more is closed when the next line is added; nil while nobody waits.
	more chan struct{}
}

func newLogBuffer(size int) *logBuffer { return &logBuffer{max: size} }

// add appends a line. The text must not contain secrets.
func (b *logBuffer) add(source, text string) {
	text = truncate(strings.ToValidUTF8(text, "\uFFFD"), maxLine)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	b.lines = append(b.lines, core.MCPLogLine{Seq: b.last, Time: time.Now().UTC(), Source: source, Text: text})
	b.bytes += len(text) + lineCost
	for b.bytes > b.max && b.dropped < len(b.lines)-1 {
		b.bytes -= len(b.lines[b.dropped].Text) + lineCost
		b.lines[b.dropped] = core.MCPLogLine{}
		b.dropped++
	}
	if b.dropped > len(b.lines)/2 {
		b.lines = append(b.lines[:0], b.lines[b.dropped:]...)
		clear(b.lines[len(b.lines):cap(b.lines)])
		b.dropped = 0
	}
	b.wake()
}

// close ends all current and later reads.
func (b *logBuffer) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.wake()
}

func (b *logBuffer) wake() {
	if b.more != nil {
		close(b.more)
		b.more = nil
	}
}

// since returns lines after seq. If there are none, it returns a channel that is closed
// when there are more, or nil if the log is closed.
func (b *logBuffer) since(seq int64) ([]core.MCPLogLine, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := b.lines[b.dropped:]
	if len(lines) > 0 && seq >= lines[0].Seq {
		lines = lines[min(int64(len(lines)), seq-lines[0].Seq+1):]
	}
	if len(lines) > 0 {
		return append([]core.MCPLogLine(nil), lines[:min(len(lines), readAtOnce)]...), nil
	}
	if b.closed {
		return nil, nil
	}
	if b.more == nil {
		b.more = make(chan struct{})
	}
	return nil, b.more
}

// end returns the number of the last line.
func (b *logBuffer) end() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// read returns the last tail lines, and with follow also those that are added later.
func (b *logBuffer) read(ctx context.Context, tail int, follow bool) iter.Seq[core.MCPLogLine] {
	return func(yield func(core.MCPLogLine) bool) {
		end := b.end()
		at := max(0, end-int64(max(0, tail)))
		for {
			lines, more := b.since(at)
			for _, line := range lines {
				if !follow && line.Seq > end || ctx.Err() != nil || !yield(line) {
					return
				}
				at = line.Seq
			}
			if len(lines) > 0 {
				continue
			}
			if !follow || more == nil {
				return
			}
			select {
			case <-more:
			case <-ctx.Done():
				return
			}
		}
	}
}
