package remote

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"
	"time"
)

// Event is a server-sent event. One without Data only moves the ID or Retry on.
type Event struct {
	// Name is message unless the server says otherwise.
	Name string
	// ID is where the stream can be taken up again; the last event's if this one
	// has none, and empty if there was none yet.
	ID   string
	Data []byte
	// TooLong events have no Data, but the head of the message in it.
	TooLong bool
	Head    Head
	// Retry is how long to wait before the stream is taken up again; the last
	// event's that said it, and 0 if none has.
	Retry time.Duration
}

// Events reads an event stream.
type Events struct {
	r     *bufio.Reader
	limit int
	// skipLF is whether a line feed belongs to a line that is over.
	skipLF bool
	id     string
	retry  time.Duration

	// Of the event that is being read.
	name       string
	data, line []byte
	seen       bool
	// over is that of an event longer than limit, and state where in it the line is.
	over *scanner
	rest rest
}

// rest is what becomes of the rest of a line.
type rest int

const (
	kept rest = iota
	dropped
	scanned
)

// maxEventID is how long an event's id may be, in bytes: it becomes a header.
const maxEventID = 4 << 10

// NewEvents reads events of at most limit bytes of data.
func NewEvents(r io.Reader, limit int) *Events {
	return &Events{r: bufio.NewReaderSize(r, 32<<10), limit: limit}
}

// Next gives the next event. An event that the stream's end cuts is none.
func (e *Events) Next() (Event, error) {
	for {
		if err := e.readLine(); err != nil {
			return Event{}, err
		}
		if len(e.line) > 0 || e.rest != kept {
			e.field()
			e.line, e.rest = e.line[:0], kept
			continue
		}
		if !e.seen {
			continue
		}
		event := Event{Name: e.name, ID: e.id, Data: e.data, Retry: e.retry}
		if event.Name == "" {
			event.Name = "message"
		}
		if e.over != nil {
			event.TooLong, event.Head = true, e.over.head
		}
		e.name, e.data, e.over, e.seen = "", nil, nil, false
		return event, nil
	}
}

// readLine reads up to a CR, an LF, or both, without waiting for what follows.
func (e *Events) readLine() error {
	for {
		if _, err := e.r.Peek(1); err != nil {
			return err
		}
		chunk, _ := e.r.Peek(e.r.Buffered())
		if e.skipLF {
			e.skipLF = false
			if chunk[0] == '\n' {
				_, _ = e.r.Discard(1)
				continue
			}
		}
		end := bytes.IndexAny(chunk, "\r\n")
		if end < 0 {
			e.take(chunk)
			_, _ = e.r.Discard(len(chunk))
			continue
		}
		e.take(chunk[:end])
		e.skipLF = chunk[end] == '\r'
		_, _ = e.r.Discard(end + 1)
		return nil
	}
}

// take adds to the line, or to what stands for one that is too long.
func (e *Events) take(chunk []byte) {
	switch e.rest {
	case scanned:
		e.over.write(chunk)
		return
	case dropped:
		return
	case kept:
	}
	e.line = append(e.line, chunk...)
	if len(e.line)+len(e.data) <= e.limit+len("data: ") {
		return
	}
	value, isData := bytes.CutPrefix(e.line, []byte("data:"))
	if !isData {
		e.line, e.rest = nil, dropped
		return
	}
	e.tooLong()
	e.over.write(value) // a space before it means nothing to JSON
	e.line, e.rest = nil, scanned
}

func (e *Events) tooLong() {
	if e.over == nil {
		e.over, e.seen = &scanner{}, true
		e.over.write(e.data)
		e.data = nil
	}
}

// field takes the line that is over.
func (e *Events) field() {
	name, value, _ := bytes.Cut(e.line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		e.name, e.seen = string(value), true
	case "data":
		e.addData(value)
	case "id":
		if len(value) <= maxEventID && strings.IndexFunc(string(value), isControl) < 0 {
			e.id, e.seen = string(value), true
		}
	case "retry":
		if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
			e.retry, e.seen = time.Duration(ms)*time.Millisecond, true
		}
	}
}

func (e *Events) addData(value []byte) {
	e.seen = true
	switch {
	case e.over != nil:
		e.over.write([]byte("\n"))
		e.over.write(value)
	case e.data == nil:
		e.data = value // the line is this event's now
		e.line = nil
	case len(e.data)+len(value) >= e.limit:
		e.tooLong()
		e.over.write(value)
	default:
		e.data = append(append(e.data, '\n'), value...)
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
