package remote

import (
	"bytes"
	"encoding/json"
)

// maxScalar is how long an id or a method may be to be known again, in bytes.
const maxScalar = 4 << 10

// Head is what a carrier knows of a message.
type Head struct {
	// ID is as it stands in the message; nil without one.
	ID json.RawMessage
	// Method is empty in an answer.
	Method string
}

// IsCall says whether the message is to be answered.
func (h Head) IsCall() bool { return h.Method != "" && h.ID != nil }

// IsAnswer says whether the message answers a call.
func (h Head) IsAnswer() bool { return h.Method == "" && h.ID != nil }

// HasNullID says whether the message is an answer to something that its sender
// could not read.
func (h Head) HasNullID() bool { return h.IsAnswer() && string(h.ID) == "null" }

// HeadOf reads a message's head.
func HeadOf(message []byte) Head {
	var s scanner
	s.write(message)
	return s.head
}

// scanner finds the head of a message that comes piece by piece, and keeps no
// more of it. It takes JSON only; what it says of other bytes means nothing.
type scanner struct {
	head              Head
	depth             int
	inString, escaped bool
	// inKey is whether the next string of the message's own object is a key; key
	// is the last one.
	inKey bool
	key   string
	text  []byte
}

func (s *scanner) write(data []byte) {
	for len(data) > 0 {
		if s.inString && !s.escaped {
			// Most of a long message is in strings.
			n := bytes.IndexAny(data, `"\`)
			if n < 0 {
				n = len(data)
			}
			s.keep(data[:n]...)
			if data = data[n:]; len(data) == 0 {
				return
			}
		}
		s.next(data[0])
		data = data[1:]
	}
}

func (s *scanner) next(c byte) {
	if s.inString {
		s.keep(c)
		switch {
		case s.escaped:
			s.escaped = false
		case c == '\\':
			s.escaped = true
		case c == '"':
			s.inString = false
			if s.depth == 1 && s.inKey {
				s.key = s.unquote()
			}
		}
		return
	}
	switch c {
	case ' ', '\t', '\n', '\r':
	case '"':
		s.inString = true
		s.keep(c)
	case '{', '[':
		s.depth++
		s.inKey = s.depth == 1
		s.text = s.text[:0]
	case '}', ']':
		s.member()
		s.depth--
	case ':':
		if s.depth == 1 {
			s.inKey = false
			s.text = s.text[:0]
		}
	case ',':
		s.member()
		s.inKey = s.depth == 1
	default:
		s.keep(c)
	}
}

// keep remembers text of the message's own object.
func (s *scanner) keep(text ...byte) {
	if s.depth == 1 && len(s.text) <= maxScalar {
		s.text = append(s.text, text[:min(len(text), maxScalar+1-len(s.text))]...)
	}
}

// member ends a member of an object or list.
func (s *scanner) member() {
	if s.depth != 1 {
		return
	}
	switch {
	case len(s.text) == 0 || len(s.text) > maxScalar:
	case s.key == "id":
		s.head.ID = bytes.Clone(s.text)
	case s.key == "method":
		s.head.Method = s.unquote()
	}
	s.key, s.text = "", s.text[:0]
}

func (s *scanner) unquote() (text string) {
	if json.Unmarshal(s.text, &text) != nil {
		return ""
	}
	return text
}
