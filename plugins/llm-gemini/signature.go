package main

import (
	"encoding/base64"
	"strings"
	"sync"
)

// maxSignatures is the maximum number of signatures in memory.
const maxSignatures = 4096

// signatures stores thought signatures: encrypted reasoning that the API sends with a tool
// call and expects back with it. They are lost when the process exits.
type signatures struct {
	mu   sync.Mutex
	byID map[string][]byte
}

// skipValidation is the API's placeholder for an unknown signature, such as after a
// restart. Models before Gemini 3 require no signature.
var skipValidation, _ = base64.URLEncoding.DecodeString("skip_thought_signature_validator")

// put stores the signature of a tool call.
func (s *signatures) put(id string, signature []byte) {
	if len(signature) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil || len(s.byID) >= maxSignatures {
		s.byID = map[string][]byte{}
	}
	s.byID[id] = signature
}

// get returns the signature of a tool call, or the placeholder if the model requires one.
func (s *signatures) get(model, id string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if signature, ok := s.byID[id]; ok {
		return signature
	}
	if strings.HasPrefix(model, "gemini-3") {
		return skipValidation
	}
	return nil
}
