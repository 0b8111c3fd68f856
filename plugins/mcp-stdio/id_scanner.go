package main

import (
	"encoding/json"
	"fmt"

	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// scanner finds the id of a message that is too long to keep, at any position in the
// message.
type scanner struct {
	size  int
	depth int
	// inString is set inside a string, escaped after a backslash.
	inString, escaped bool
	// isKey is set if the next string at depth 1 is a key. key is the current key.
	isKey bool
	key   []byte
	// id is the value of the key "id" as written. method is set if there is a key "method".
	id     []byte
	method bool
}

const (
	maxKey = 16
	maxID  = 256
)

// write scans the next bytes of the message.
func (s *scanner) write(data []byte) {
	s.size += len(data)
	for _, b := range data {
		s.step(b)
	}
}

// step scans a byte.
func (s *scanner) step(b byte) {
	if s.inString {
		s.stepInString(b)
		return
	}
	switch b {
	case '"':
		s.inString = true
		if s.depth == 1 && s.isKey {
			s.key = s.key[:0]
			return
		}
		s.addToID(b)
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
		s.addToID(b)
	}
}

// stepInString scans a byte inside a string.
func (s *scanner) stepInString(b byte) {
	switch {
	case s.depth == 1 && s.isKey:
		if b != '"' && len(s.key) < maxKey {
			s.key = append(s.key, b)
		}
	default:
		s.addToID(b)
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

// addToID appends a byte to the id if it is part of its value.
func (s *scanner) addToID(b byte) {
	if s.depth == 1 && !s.isKey && string(s.key) == "id" && len(s.id) < maxID {
		s.id = append(s.id, b)
	}
}

// answer returns an error answer that replaces the message, or nil if the message is not an
// answer.
func (s *scanner) answer() []byte {
	if s.method || len(s.id) == 0 || !json.Valid(s.id) || string(s.id) == "null" {
		return nil
	}
	return fmt.Appendf(nil,
		`{"jsonrpc":"2.0","id":%s,"error":{"code":-32603,"message":"the MCP server's answer has %d bytes; the limit is %d"}}`,
		s.id, s.size, mcptransport.MaxMessage)
}
