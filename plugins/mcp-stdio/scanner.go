package main

import (
	"encoding/json"
	"fmt"

	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// scanner finds the id of a message that is too long to be kept, wherever in it
// the id stands.
type scanner struct {
	size  int
	depth int
	// inString and escaped are of the text that the scanner is in, if it is.
	inString, escaped bool
	// isKey says that the next text at depth 1 is a key, and key what it is.
	isKey bool
	key   []byte
	// id is the value of the key id, as written; method says that there is one.
	id     []byte
	method bool
}

const (
	maxKey = 16
	maxID  = 256
)

func (s *scanner) write(data []byte) {
	s.size += len(data)
	for _, b := range data {
		s.step(b)
	}
}

func (s *scanner) step(b byte) {
	if s.inString {
		s.inText(b)
		return
	}
	switch b {
	case '"':
		s.inString = true
		if s.depth == 1 && s.isKey {
			s.key = s.key[:0]
			return
		}
		s.value(b)
	case '{', '[':
		s.depth++
		s.isKey = s.depth == 1 && b == '{'
	case '}', ']':
		s.depth--
	case ':':
		if s.depth == 1 {
			s.isKey = false
			s.method = s.method || string(s.key) == "method"
			if string(s.key) == "id" {
				s.id = s.id[:0]
			}
		}
	case ',':
		if s.depth == 1 {
			s.isKey = true
		}
	case ' ', '\t', '\r', '\n':
	default:
		s.value(b)
	}
}

func (s *scanner) inText(b byte) {
	switch {
	case s.depth == 1 && s.isKey:
		if b != '"' && len(s.key) < maxKey {
			s.key = append(s.key, b)
		}
	default:
		s.value(b)
	}
	switch {
	case s.escaped:
		s.escaped = false
	case b == '\\':
		s.escaped = true
	case b == '"':
		s.inString = false
	}
}

// value keeps what belongs to the id.
func (s *scanner) value(b byte) {
	if s.depth == 1 && !s.isKey && string(s.key) == "id" && len(s.id) < maxID {
		s.id = append(s.id, b)
	}
}

// answer stands for the message, if it was an answer.
func (s *scanner) answer() []byte {
	if s.method || len(s.id) == 0 || !json.Valid(s.id) || string(s.id) == "null" {
		return nil
	}
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32603,"message":"the MCP server's answer has %d bytes, and %d is the most"}}`,
		s.id, s.size, mcptransport.MaxMessage)
}
