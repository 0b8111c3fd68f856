package main

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/net/http/httpguts"
)

// FuzzParamHeader checks that a header value decodes to the argument that it encodes.
func FuzzParamHeader(f *testing.F) {
	for _, s := range []string{
		`"a"`, `" a "`, `"é\n"`, `"=?base64?YQ==?="`, `true`, `9007199254740991`,
		`9007199254740993`, `1.5`, `1e3`, `null`, `{"a":1}`, `-0`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		arguments, err := json.Marshal(map[string]json.RawMessage{"a": json.RawMessage(value)})
		if err != nil {
			return
		}
		got, present := paramHeaders([]headerParam{{path: []string{"a"}, header: "X"}}, arguments)["X"]
		text, ok := primitive(json.RawMessage(strings.TrimSpace(value)))
		if present != ok {
			t.Fatalf("paramHeaders has a header for %s = %v, want %v", value, present, ok)
		}
		if !ok {
			return
		}
		if !httpguts.ValidHeaderFieldValue(got) || strings.TrimSpace(got) != got {
			t.Errorf("argument %s has the invalid header %q", value, got)
		}
		if inner, wrapped := strings.CutPrefix(got, "=?base64?"); wrapped && strings.HasSuffix(inner, "?=") {
			b, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(inner, "?="))
			if err != nil {
				t.Fatal(err)
			}
			got = string(b)
		}
		if got != text {
			t.Errorf("header of argument %s decodes to %q, want %q", value, got, text)
		}
	})
}
