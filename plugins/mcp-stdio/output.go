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

// maxLine is the maximum number of bytes of a line of standard error. The rest of the line
// is dropped.
const maxLine = 32 << 10

// readMessages passes on the program's messages, one per line. Other output is logged.
func (c *conn) readMessages(r io.Reader) {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, scan, err := readLine(in)
		if scan != nil {
			line = scan.answer()
			c.queueLine(fmt.Sprintf("stdout: dropped a message of %d bytes; the limit is %d",
				scan.size, mcptransport.MaxMessage))
		}
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0:
		case (line[0] == '{' || line[0] == '[') && json.Valid(line):
			select {
			case c.messages <- line:
			case <-c.closing:
				// The host may not receive any more, and must not block the program.
			}
		default:
			c.queueLine("stdout: " + truncate(line))
		}
		if err != nil {
			return
		}
	}
}

// readLine reads up to a line break. For a line over the limit it returns a scanner with
// its id instead.
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

// readLines queues the lines of standard error. It drops lines when the host is slow, so
// that it never blocks the program.
func (c *conn) readLines(r io.Reader) {
	in := bufio.NewReaderSize(r, maxLine)
	dropped := 0
	for {
		line, err := in.ReadSlice('\n')
		text := truncate(bytes.TrimRight(line, "\r\n"))
		for errors.Is(err, bufio.ErrBufferFull) { // skip the rest of a long line
			_, err = in.ReadSlice('\n')
		}
		if text != "" {
			if dropped > 0 && c.queueLine(fmt.Sprintf("dropped %d lines that were written too fast", dropped)) {
				dropped = 0
			}
			if !c.queueLine(text) {
				dropped++
			}
		}
		if err != nil {
			return
		}
	}
}

// queueLine queues a line for the log. It returns false if the queue is full.
func (c *conn) queueLine(text string) bool {
	c.mu.Lock()
	c.lastStderr = append(c.lastStderr, text[:min(len(text), 500)])
	if len(c.lastStderr) > maxLastStderr {
		c.lastStderr = c.lastStderr[1:]
	}
	c.mu.Unlock()
	select {
	case c.lines <- text:
		return true
	default:
		return false
	}
}

// truncate shortens a line to maxLine bytes, at a character boundary.
func truncate(line []byte) string {
	if len(line) > maxLine {
		line = line[:maxLine]
		for len(line) > 0 && !utf8.RuneStart(line[len(line)-1]) {
			line = line[:len(line)-1]
		}
	}
	return string(bytes.ToValidUTF8(line, []byte("\uFFFD")))
}
