package main

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzScanner checks that the scanner finds the same id as encoding/json.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{
		`{"id":1,"result":{}}`, `{"result":{"id":2},"id":"x"}`, `{"id":1,"method":"a"}`, `{"result":[{"id":1}],"id":"a\"b"}`,
		`{"id":null}`, `{"id":{"a":1}}`, `{"id":[1]}`, `{"\u0069d":1}`,
		`{"id" : 1 , "a":"}"}`, `{"id":1,"id":2}`, `{"a":{"method":1},"id":3}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		var members map[string]json.RawMessage
		if json.Unmarshal(message, &members) != nil || members == nil {
			return
		}
		var s scanner
		for i := range message {
			s.write(message[i : i+1])
		}
		answer := s.answer()
		id := members["id"]
		switch isScalar := len(id) > 0 && id[0] != '{' && id[0] != '[' && len(id) < maxID; {
		case answer != nil && !json.Valid(answer):
			t.Errorf("answer to %q = %q", message, answer)
		case members["method"] != nil && answer != nil:
			t.Errorf("answer to the request %q = %q, want none", message, answer)
		case members["method"] == nil && isScalar && string(id) != "null" && !bytes.Contains(message, []byte(`\u`)):
			if want := append([]byte(`{"jsonrpc":"2.0","id":`), id...); !bytes.HasPrefix(answer, want) {
				t.Errorf("answer to %q = %q", message, answer)
			}
		}
	})
}
