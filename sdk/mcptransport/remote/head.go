package remote

import (
	"bytes"
	"encoding/json"
)

// maxScalar is the maximum length of an ID or method in bytes. Longer ones are ignored.
const maxScalar = 4 << 10

// Head is the part of a JSON-RPC message that a transport reads.
type Head struct {
	// ID is the ID as it occurs in the message, or nil if there is none.
	ID json.RawMessage
	// Method is the method. It is empty in a response.
	Method string
}

// IsCall reports whether the message is a request that needs a response.
func (h Head) IsCall() bool { return h.Method != "" && h.ID != nil }

// IsAnswer reports whether the message is a response.
func (h Head) IsAnswer() bool { return h.Method == "" && h.ID != nil }

// HasNullID reports whether the message is a response to a request that its sender could not decode.
func (h Head) HasNullID() bool { return h.IsAnswer() && string(h.ID) == "null" }

// HeadOf returns the head of a message.
func HeadOf(message []byte) Head {
	var s scanner
	s.write(message)
	return s.head
}

// scanner extracts the head of a message that arrives in pieces, without storing the message. Its result is
// undefined for input that is not JSON.
type scanner struct {
	head              Head
	depth             int
	inString, escaped bool
	// inKey reports whether the next string of the top-level object is a key. key is the latest key.
	inKey bool
	key   string
	text  []byte
}

func (s *scanner) write(data []byte) {
	for len(data) > 0 {
		if s.inString && !s.escaped {
			// This is fast for long strings, which most of a long message consists of.
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

// keep stores text of the top-level object.
func (s *scanner) keep(text ...byte) {
	if s.depth == 1 && len(s.text) <= maxScalar {
		s.text = append(s.text, text[:min(len(text), maxScalar+1-len(s.text))]...)
	}
}

// member processes the end of a member of an object or list.
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
