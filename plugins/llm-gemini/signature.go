package main

import (
	"encoding/base64"
	"strings"
	"sync"
)

// maxSignatures bounds the signatures that are kept.
const maxSignatures = 4096

// signatures are what the API gives with a tool call and wants back with it: a
// model's thoughts, sealed. They are kept as long as the process lives.
type signatures struct {
	mu    sync.Mutex
	known map[string][]byte
}

// unsigned is the API's own word for a call whose signature is not known any
// more, as after a restart; models before Gemini 3 need none.
var unsigned, _ = base64.URLEncoding.DecodeString("skip_thought_signature_validator")

func (s *signatures) keep(id string, signature []byte) {
	if len(signature) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxSignatures {
		s.known = map[string][]byte{}
	}
	s.known[id] = signature
}

func (s *signatures) of(model, id string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if signature, ok := s.known[id]; ok {
		return signature
	}
	if strings.HasPrefix(model, "gemini-3") {
		return unsigned
	}
	return nil
}
