package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// maxLine is how many bytes of a line of standard error are kept.
const maxLine = 32 << 10

// readMessages hands over the program's messages, one a line. What is none is a
// line for the log.
func (c *conn) readMessages(r io.Reader) {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, scan, err := readLine(in)
		if scan != nil {
			line = scan.answer()
			c.line(fmt.Sprintf("stdout: a message of %d bytes is over the limit of %d", scan.size, mcptransport.MaxMessage))
		}
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0:
		case (line[0] == '{' || line[0] == '[') && json.Valid(line):
			select {
			case c.messages <- line:
			case <-c.closing:
				// Nobody may wait for it; the program must not be held up by that.
			}
		default:
			c.line("stdout: " + cut(line))
		}
		if err != nil {
			return
		}
	}
}

// readLine reads up to a line break. Of a line over the limit it keeps only what
// an answer to it needs.
func readLine(in *bufio.Reader) (line []byte, scan *scanner, err error) {
	for {
		part, err := in.ReadSlice('\n')
		switch {
		case scan != nil:
			scan.write(part)
		case len(line)+len(part) > mcptransport.MaxMessage+1:
			scan = &scanner{}
			scan.write(line)
			scan.write(part)
			line = nil
		default:
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, scan, err
		}
	}
}

// readLines hands over the lines of standard error, and drops them when the host
// is slow: the program is never held up.
func (c *conn) readLines(r io.Reader) {
	in := bufio.NewReaderSize(r, maxLine)
	dropped := 0
	for {
		line, err := in.ReadSlice('\n')
		text := cut(bytes.TrimRight(line, "\r\n"))
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a long line
			_, err = in.ReadSlice('\n')
		}
		if text != "" {
			if dropped > 0 && c.line(fmt.Sprintf("%d lines are left out here: they came too fast", dropped)) {
				dropped = 0
			}
			if !c.line(text) {
				dropped++
			}
		}
		if err != nil {
			return
		}
	}
}

// line queues a line for the log; false when there is no room.
func (c *conn) line(text string) bool {
	c.mu.Lock()
	c.last = append(c.last, text[:min(len(text), 500)])
	if len(c.last) > lastLines {
		c.last = c.last[1:]
	}
	c.mu.Unlock()
	select {
	case c.lines <- text:
		return true
	default:
		return false
	}
}

// cut shortens a line to what the log takes, at a whole character.
func cut(line []byte) string {
	if len(line) > maxLine {
		line = line[:maxLine]
		for len(line) > 0 && !utf8.RuneStart(line[len(line)-1]) {
			line = line[:len(line)-1]
		}
	}
	return string(bytes.ToValidUTF8(line, []byte("\uFFFD")))
}
