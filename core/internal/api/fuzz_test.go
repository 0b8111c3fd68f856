package api_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

// FuzzBody checks that an accepted body is JSON within the limits, without a NUL anywhere.
func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{"name":"a"}`, `[1,2e400]`, `[1e-999999]`, `{"a\"1e999":-1.5E+308}`,
		`"\u0000"`, `{"\u0000":1}`, `{"a":"\\u0000"}`, "{\"a\":\"\xff\"}", `{"a":1}x`,
		strings.Repeat("[", 65) + strings.Repeat("]", 65), `"[[["`, `{"a":"\ud800"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err := api.CheckJSON(body, "")
		if err != nil {
			apitest.WantPublicError(t, err)
			return
		}
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil || !utf8.Valid(body) {
			t.Fatalf("CheckJSON(%q) = nil, but decoding it fails: %v", body, err)
		}
		if field, found := api.ContainsNUL(v); found {
			t.Errorf("CheckJSON(%q) = nil, but %s contains a NUL", body, field)
		}
		if number, found := hugeNumber(v); found {
			t.Errorf("CheckJSON(%q) = nil, but it contains %s", body, number)
		}
		if n := nesting(v); n > api.MaxJSONDepth {
			t.Errorf("CheckJSON(%q) = nil for a depth of %d", body, n)
		}
	})
}

// hugeNumber returns a number beyond the limits in a decoded JSON value.
func hugeNumber(v any) (string, bool) {
	switch v := v.(type) {
	case json.Number:
		return v.String(), api.ExceedsLimits(v.String())
	case []any:
		for _, e := range v {
			if n, found := hugeNumber(e); found {
				return n, true
			}
		}
	case map[string]any:
		for _, e := range v {
			if n, found := hugeNumber(e); found {
				return n, true
			}
		}
	}
	return "", false
}

// nesting returns the number of levels of a decoded JSON value.
func nesting(v any) int {
	n := 0
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			n = max(n, nesting(e))
		}
		return n + 1
	case map[string]any:
		for _, e := range v {
			n = max(n, nesting(e))
		}
		return n + 1
	}
	return n
}

// FuzzHeaders checks the parsing of If-Match, X-Request-ID and Authorization.
func FuzzHeaders(f *testing.F) {
	for _, s := range []string{`"v7"`, `W/"v7"`, `"v1", "v7"`, `"v7-0123-gzip"`, "*", "Bearer a", "Bearer  a b "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		accepted := api.CheckIfMatch(text, "agent", 7) == nil
		if accepted && text != "" && text != "*" && !strings.Contains(text, `"v7`) {
			t.Errorf("CheckIfMatch(%q) accepts version 7", text)
		}
		if accepted && strings.HasPrefix(strings.TrimSpace(text), "W/") && !strings.Contains(text, ",") {
			t.Errorf("CheckIfMatch(%q) accepts a weak ETag", text)
		}
		if id := api.RequestID(text); strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) ||
			len(id) > 64 {
			t.Errorf("RequestID(%q) = %q", text, id)
		}
		if token, ok := api.Bearer(text); ok && (token == "" || token != strings.TrimSpace(token)) {
			t.Errorf("Bearer(%q) = %q", text, token)
		}
	})
}

// FuzzMergePatch checks that MergePatch agrees with the pseudocode of RFC 7396.
func FuzzMergePatch(f *testing.F) {
	for _, s := range [][2]string{
		{`{"a":"b","c":{"d":1}}`, `{"c":{"d":null,"e":[1,{"f":null}]}}`},
		{`{"a":1,"a":2}`, `{"a":{"b":null}}`},
		{`[1]`, `{"\u0061":1.50,"":{}}`},
		{" { \"a\" :\t{} } ", "\n{\"a\" : {\"b\" : -0} , \"c\":\"}\" }"},
	} {
		f.Add([]byte(s[0]), []byte(s[1]))
	}
	decode := func(text []byte) (v any, ok bool) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		return v, json.Valid(text) && utf8.Valid(text) && d.Decode(&v) == nil
	}
	f.Fuzz(func(t *testing.T, current, patch []byte) {
		target, ok := decode(current)
		changes, valid := decode(patch)
		if !ok || nesting(target) > api.MaxJSONDepth || valid && nesting(changes) > api.MaxJSONDepth {
			return
		}
		var merged json.RawMessage
		err := api.MergePatch(json.RawMessage(current), patch, &merged)
		if valid != (err == nil) && utf8.Valid(patch) {
			t.Fatalf("MergePatch(%q, %q) = %v, want an error: %t", current, patch, err, !valid)
		}
		if !valid || err != nil {
			return
		}
		got, ok := decode(merged)
		if want := merge(target, changes); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("MergePatch(%q, %q) = %s, want %v", current, patch, merged, want)
		}
	})
}

// merge is the function MergePatch of RFC 7396.
func merge(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for name, value := range changes {
		if value == nil {
			delete(object, name)
			continue
		}
		object[name] = merge(object[name], value)
	}
	return object
}
