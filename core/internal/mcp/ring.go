package mcp

import (
	"context"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

// The sources of lines.
const (
	sourceStderr = "stderr"
	sourceHost   = "host"
)

const (
	// maxLine is how many bytes of a line are kept.
	maxLine = 16 << 10
	// lineCost is what a line takes besides its text, in bytes.
	lineCost = 96
	// readAtOnce is how many lines a reader takes at once.
	readAtOnce = 256
)

// ring is a server's log: the last lines of all its children and of its
// supervisor, up to a number of bytes. Whoever adds a line never waits for a reader.
type ring struct {
	max int

	mu sync.Mutex
	// lines are the newest; the first dropped of them are gone.
	lines   []core.MCPLogLine
	dropped int
	bytes   int
	last    int64
	closed  bool
	// more is closed at the next line; nil while nobody waits.
	more chan struct{}
}

func newRing(size int) *ring { return &ring{max: size} }

// add takes a line that has no secret in it.
func (r *ring) add(source, text string) {
	text = cut(strings.ToValidUTF8(text, "\uFFFD"), maxLine)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	r.lines = append(r.lines, core.MCPLogLine{Seq: r.last, Time: time.Now().UTC(), Source: source, Text: text})
	r.bytes += len(text) + lineCost
	for r.bytes > r.max && r.dropped < len(r.lines)-1 {
		r.bytes -= len(r.lines[r.dropped].Text) + lineCost
		r.lines[r.dropped] = core.MCPLogLine{}
		r.dropped++
	}
	if r.dropped > len(r.lines)/2 {
		r.lines = append(r.lines[:0], r.lines[r.dropped:]...)
		clear(r.lines[len(r.lines):cap(r.lines)])
		r.dropped = 0
	}
	r.wake()
}

// close ends all reading that follows.
func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.wake()
}

func (r *ring) wake() {
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
}

// since gives lines after seq, and otherwise what to wait on: nil once there will
// be no more.
func (r *ring) since(seq int64) ([]core.MCPLogLine, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := r.lines[r.dropped:]
	if len(lines) > 0 && seq >= lines[0].Seq {
		lines = lines[min(int64(len(lines)), seq-lines[0].Seq+1):]
	}
	if len(lines) > 0 {
		return append([]core.MCPLogLine(nil), lines[:min(len(lines), readAtOnce)]...), nil
	}
	if r.closed {
		return nil, nil
	}
	if r.more == nil {
		r.more = make(chan struct{})
	}
	return nil, r.more
}

// end gives the number of the last line.
func (r *ring) end() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// read gives the last tail lines, and with follow those to come.
func (r *ring) read(ctx context.Context, tail int, follow bool) iter.Seq[core.MCPLogLine] {
	return func(yield func(core.MCPLogLine) bool) {
		end := r.end()
		at := max(0, end-int64(max(0, tail)))
		for {
			lines, more := r.since(at)
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
