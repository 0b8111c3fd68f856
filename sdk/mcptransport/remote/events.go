package remote

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"
	"time"
)

// Event is a server-sent event. An event without Data only updates the ID or Retry.
type Event struct {
	// Name is the type of the event. The default is message.
	Name string
	// ID is the ID for resuming the stream. If the event has none, it is the ID of the previous event, or
	// empty if there was none.
	ID   string
	Data []byte
	// TooLong reports that Data exceeds the limit and is omitted. The event then has the head of the message.
	TooLong bool
	Head    Head
	// Retry is the time to wait before resuming the stream, according to the latest event that specified
	// it, or 0 if none did.
	Retry time.Duration
}

// Events reads a stream of server-sent events.
type Events struct {
	r     *bufio.Reader
	limit int
	// skipLF reports whether a following line feed belongs to the previous line.
	skipLF bool
	id     string
	retry  time.Duration

	// These fields describe the event that is being read.
	name       string
	data, line []byte
	seen       bool
	// longEvent scans an event that is longer than limit. state is the treatment of the rest of the line.
	longEvent *scanner
	rest      rest
}

// rest is the treatment of the rest of a line.
type rest int

const (
	kept rest = iota
	dropped
	scanned
)

// maxEventID is the maximum length of an event ID in bytes. The ID is sent in a header.
const maxEventID = 4 << 10

// NewEvents returns a reader of events with at most limit bytes of data.
func NewEvents(r io.Reader, limit int) *Events {
	return &Events{r: bufio.NewReaderSize(r, 32<<10), limit: limit}
}

// Next returns the next event. It does not return an event that is incomplete at the end of the stream.
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
		if e.longEvent != nil {
			event.TooLong, event.Head = true, e.longEvent.head
		}
		e.name, e.data, e.longEvent, e.seen = "", nil, nil, false
		return event, nil
	}
}

// readLine reads up to a CR, an LF or both, without waiting for the following bytes.
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

// take appends to the line, or scans it if it is too long.
func (e *Events) take(chunk []byte) {
	switch e.rest {
	case scanned:
		e.longEvent.write(chunk)
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
	e.beginLongEvent()
	e.longEvent.write(value) // JSON ignores a leading space
	e.line, e.rest = nil, scanned
}

// beginLongEvent moves the data to longEvent, unless it is there already.
func (e *Events) beginLongEvent() {
	if e.longEvent == nil {
		e.longEvent, e.seen = &scanner{}, true
		e.longEvent.write(e.data)
		e.data = nil
	}
}

// field processes a complete line.
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
	case e.longEvent != nil:
		e.longEvent.write([]byte("\n"))
		e.longEvent.write(value)
	case e.data == nil:
		e.data = value // the event takes ownership of the line
		e.line = nil
	case len(e.data)+len(value) >= e.limit:
		e.beginLongEvent()
		e.longEvent.write(value)
	default:
		e.data = append(append(e.data, '\n'), value...)
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
