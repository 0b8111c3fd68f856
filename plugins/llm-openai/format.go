package main

import (
	"bufio"
	"bytes"
	"mime"
	"net/http"
)

// format is the format of a response.
type format int

const (
	formatJSON format = iota
	formatEvents
	formatHTML
)

// eventFields are the beginnings of the lines of server-sent events. A line that begins with a colon is a comment.
var eventFields = [][]byte{[]byte("data:"), []byte("event:"), []byte("id:"), []byte("retry:"), []byte(":")}

var byteOrderMark = []byte("\uFEFF")

// detectFormat waits for the first bytes of a body and returns its format. The first bytes decide, because
// compatible servers send streams and errors with any Content-Type. It skips a byte order mark.
func detectFormat(header http.Header, body *bufio.Reader) format {
	media := mediaType(header)
	for {
		if _, err := body.Peek(1); err != nil {
			break // the reader of the body returns the same error
		}
		start, _ := body.Peek(min(body.Buffered(), 16))
		if rest, ok := bytes.CutPrefix(start, byteOrderMark); ok {
			_, _ = body.Discard(len(start) - len(rest))
			continue
		}
		content := bytes.TrimLeft(start, " \t\r\n")
		if len(content) == 0 {
			_, _ = body.Discard(len(start))
			continue
		}
		switch {
		case content[0] == '{':
			return formatJSON
		case content[0] == '<':
			return formatHTML
		}
		for _, field := range eventFields {
			if bytes.HasPrefix(content, field) {
				return formatEvents
			}
		}
		break
	}
	switch media {
	case "text/event-stream":
		return formatEvents
	case "text/html":
		return formatHTML
	}
	return formatJSON
}

func mediaType(header http.Header) string {
	media, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	return media
}
