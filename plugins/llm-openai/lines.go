package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// longestLine bounds one event, so that a mad server can't fill the memory.
const longestLine = 4 << 20

var (
	errCut       = errors.New("the provider cut the answer")
	errMalformed = errors.New("the provider sent something that is not of OpenAI's API")
	errLongLine  = errors.New("the provider sent an event of more than 4 MiB")
)

// lines reads the data of server-sent events, each of one line.
type lines struct {
	in   *bufio.Reader
	long []byte
}

func newLines(r io.Reader) *lines { return &lines{in: bufio.NewReader(r)} }

// next gives the data of the next event, which is valid until the next call;
// comments and other fields are passed over. At the end it gives io.EOF.
func (l *lines) next() ([]byte, error) {
	for {
		line, err := l.line()
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

func (l *lines) line() ([]byte, error) {
	line, err := l.in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	l.long = l.long[:0]
	for errors.Is(err, bufio.ErrBufferFull) {
		l.long = append(l.long, line...)
		if len(l.long) > longestLine {
			return nil, errLongLine
		}
		line, err = l.in.ReadSlice('\n')
	}
	l.long = append(l.long, line...)
	return l.long, err
}
