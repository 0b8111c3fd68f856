package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxLine is the maximum size of an event, in bytes.
const maxLine = 4 << 20

var (
	errTruncated = errors.New("the provider's answer ended early")
	errMalformed = errors.New("the response does not match OpenAI's API")
	errLongLine  = errors.New("the response has an event of more than 4 MiB")
)

// eventReader reads the data of server-sent events. Each event has one data line.
type eventReader struct {
	in   *bufio.Reader
	long []byte
}

func newEventReader(body io.Reader) *eventReader { return &eventReader{in: bufio.NewReader(body)} }

// next returns the data of the next event, which is valid until the next call. It skips
// comments and other fields, and returns io.EOF at the end.
func (r *eventReader) next() ([]byte, error) {
	for {
		line, err := r.line()
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok && (err == nil || errors.Is(err, io.EOF)) {
			if data = bytes.TrimSpace(data); len(data) > 0 {
				return data, nil
			}
		}
		if err != nil {
			return nil, err
		}
	}
}

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
