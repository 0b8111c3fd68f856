package gateway

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzMessage checks that parse reads the same values as encoding/json, and that withID changes
// only the ID.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[1,{"y":"\""}]}}}`,
		`{"jsonrpc":"2.0","id":"a","result":{}}`,
		`{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"m"}}`, `{"jsonrpc":"2.0","method":"n"}`,
		`[{"jsonrpc":"2.0","method":"n"}]`, `{"\u0069d":1,"jsonrpc":"2.0","method":"\u0061"}`,
		`{"id":1,"id":2,"jsonrpc":"2.0","method":"a"}`, `{"jsonrpc":"2.0","id":1.0,"method":"a"}`,
		`{}`, `{"a":{}}`, `[]`, "{ \"jsonrpc\" :\n\"2.0\",\"id\":null,\"method\":\"a\"}", `{"":"\\"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		raw, err := compact(data)
		if err != nil {
			return
		}
		for _, item := range splitArray(raw) {
			if !json.Valid(item) {
				t.Fatalf("splitArray(%q) has the invalid element %q", raw, item)
			}
		}
		m, err := parse(data)
		if err != nil {
			return
		}
		var want struct {
			ID     json.RawMessage
			Method string
			Params json.RawMessage
		}
		// Unmarshal matches field names without case, so the test uses a map instead.
		var members map[string]json.RawMessage
		if err := json.Unmarshal(data, &members); err != nil {
			t.Fatalf("parse(%q) succeeded, but Unmarshal failed: %v", data, err)
		}
		want.ID, want.Params = members["id"], members["params"]
		if method := members["method"]; method != nil {
			if err := json.Unmarshal(method, &want.Method); err != nil {
				t.Fatalf("parse(%q) succeeded, but Unmarshal failed: %v", data, err)
			}
		}
		if !same(m.id, want.ID) || m.method != want.Method || !same(m.params, want.Params) {
			t.Fatalf("parse(%q): got id %q, method %q, params %q, want %q, %q, %q",
				data, m.id, m.method, m.params, want.ID, want.Method, want.Params)
		}
		if m.id == nil {
			return
		}
		other, err := parseCompact(m.withID([]byte(`"other"`)))
		if err != nil || string(other.id) != `"other"` || other.method != m.method || !bytes.Equal(other.params, m.params) ||
			!bytes.Equal(other.withID(m.id), m.raw) {
			t.Errorf("withID on %q = %q (error %v), want only another id", m.raw, m.withID([]byte(`"other"`)), err)
		}
	})
}

// same reports whether got is the compact form of want.
func same(got, want []byte) bool {
	if got == nil || want == nil {
		return got == nil && want == nil
	}
	w, err := compact(want)
	return err == nil && bytes.Equal(got, w)
}

// FuzzReplace checks that get finds the same value as encoding/json, and that replace changes
// this value.
func FuzzReplace(f *testing.F) {
	for _, s := range []string{
		`{"a":{"b":1}}`, `{"a":{"b":"x","b":2}}`, `{"a":[]}`,
		`{"a":1,"a":{"b":{}}}`, `{"\u0061":{"b":1}}`, `{"a":{"b":1.0e5}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		raw, err := compact(data)
		if err != nil || raw[0] != '{' {
			return
		}
		var outer, inner map[string]json.RawMessage
		if err := json.Unmarshal(raw, &outer); err != nil {
			t.Fatal(err)
		}
		if a := outer["a"]; len(a) > 0 && a[0] == '{' {
			if err := json.Unmarshal(a, &inner); err != nil {
				t.Fatal(err)
			}
		}
		got := get(raw, "a", "b")
		if !bytes.Equal(got, inner["b"]) {
			t.Fatalf("get(%q) = %q, want %q", raw, got, inner["b"])
		}
		out := replace(raw, []byte(`"new"`), "a", "b")
		if !json.Valid(out) {
			t.Fatalf("replace(%q) = %q, want valid JSON", raw, out)
		}
		if now := get(out, "a", "b"); got != nil && string(now) != `"new"` || got == nil && !bytes.Equal(out, raw) {
			t.Errorf("replace(%q) = %q, want the new value at a.b", raw, out)
		}
	})
}

// FuzzHeaders checks that event IDs and header values survive encoding and decoding.
func FuzzHeaders(f *testing.F) {
	for _, s := range []string{
		"a_7", "a_b_7", "_0", "a_-1", "a_+1", "a_007", "=?base64?YQ==?=",
		"=?base64?!?=", "=?base64?YQ==", "9007199254740993", "1e3", "true", "0x1p3", "NaN",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if stream, next, ok := parseEventID(text); ok {
			if next < 0 || stream == "" && text[0] != '_' {
				t.Errorf("parseEventID(%q) = %q, %d, want an error", text, stream, next)
			}
			again, n, ok := parseEventID(eventID(stream, next))
			if !ok || again != stream || n != next {
				t.Errorf("parseEventID(%q) = %q, %d, but after a round trip %q, %d", text, stream, next, again, n)
			}
		}
		decoded, _ := decodeHeader(text)
		quoted, err := json.Marshal(decoded)
		if err != nil {
			t.Fatal(err)
		}
		var parsed string
		if json.Unmarshal(quoted, &parsed) == nil && parsed == decoded && !headerEquals(decoded, quoted) {
			t.Errorf("headerEquals(%q) = false for the same value", decoded)
		}
		// A header never equals a number that JSON parsers may round.
		if headerEquals(text, []byte("9007199254740993")) || headerEquals(text, []byte("1.5")) ||
			headerEquals(text, []byte("null")) {
			t.Errorf("headerEquals(%q) = true for another value", text)
		}
	})
}
