package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/tidwall/gjson"
)

const (
	// maxLine is the maximum size of an event, in bytes.
	maxLine = 4 << 20
	// maxRecursion is the size in bytes up to which validJSON uses gjson, whose recursion has no limit.
	maxRecursion = 64 << 10
)

var (
	errTruncated = errors.New("the provider's answer ended early")
	errMalformed = errors.New("the response does not match OpenAI's API")
	errLongLine  = errors.New("the response has an event of more than 4 MiB")
	errManyCalls = errors.New("the response has more than 1000 tool calls")
)

// eventReader reads the data of server-sent events.
type eventReader struct {
	in   *bufio.Reader
	long []byte
	// name is the name of the event that next has returned, or nil.
	name []byte
	// lines are the data lines of an event that has several.
	lines []byte
}

func newEventReader(body *bufio.Reader) *eventReader { return &eventReader{in: body} }

// isDone reports whether data is the end of a stream.
func isDone(data []byte) bool { return string(data) == "[DONE]" }

// validJSON reports whether data is valid JSON. JSON that nests so deeply that its recursion would end the process is
// invalid.
func validJSON(data []byte) bool {
	if len(data) > maxRecursion {
		return json.Valid(data) // slower, but with a limit
	}
	return gjson.ValidBytes(data)
}

// next returns the data of the next event, which is valid until the next call: JSON, or [DONE]. It skips
// comments and other fields, and returns io.EOF at the end. An event usually has one line of data. Some servers
// send no empty line between events, so a line that is complete is an event.
func (r *eventReader) next() ([]byte, error) {
	r.name, r.lines = r.name[:0], r.lines[:0]
	for {
		line, err := r.line()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		line = bytes.TrimSpace(line)
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = bytes.TrimSpace(data)
			if len(r.lines) == 0 && (isDone(data) || validJSON(data)) {
				return data, nil
			}
			if len(data) == 0 {
				continue // nothing but a line break of the JSON
			}
			if r.lines = append(append(r.lines, data...), '\n'); len(r.lines) > maxLine {
				return nil, errLongLine
			}
		} else if name, ok := bytes.CutPrefix(line, []byte("event:")); ok {
			r.name = append(r.name[:0], bytes.TrimSpace(name)...)
		}
		if len(r.lines) > 0 && (len(line) == 0 || err != nil) {
			return r.joined(bytes.TrimSpace(r.lines), err)
		}
		if err != nil {
			return nil, err
		}
	}
}

// joined returns the data of an event with several lines. end is io.EOF if the stream ends with the event.
func (r *eventReader) joined(data []byte, end error) ([]byte, error) {
	switch {
	case validJSON(data):
		return data, nil
	case end != nil:
		return nil, end
	default:
		return nil, errMalformed
	}
}

// isError reports whether the event that next has returned is named error.
func (r *eventReader) isError() bool { return string(r.name) == "error" }

// line returns the next line, which is valid until the next call.
func (r *eventReader) line() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	r.long = r.long[:0]
	for errors.Is(err, bufio.ErrBufferFull) {
		r.long = append(r.long, line...)
		if len(r.long) > maxLine {
			return nil, errLongLine
		}
		line, err = r.in.ReadSlice('\n')
	}
	r.long = append(r.long, line...)
	return r.long, err
}
