package core

import (
	"strings"
	"testing"
)

func TestUnknownParameter(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 65)
	for _, c := range []struct {
		name  string
		known []string
		want  string
	}{
		{"lmit", []string{"limit", "offset"}, `Unknown query parameter "lmit". Did you mean "limit"? Known parameters: limit, offset`},
		{"page", []string{"limit"}, `Unknown query parameter "page". Known parameters: limit`},
		{"limit", nil, `Unknown query parameter "limit". This endpoint has no query parameters.`},
		{long, []string{"limit"}, `Unknown query parameter "` + long + `". Known parameters: limit`},
	} {
		if got := UnknownParameter(c.name, c.known); got != c.want {
			t.Errorf("UnknownParameter(%q, %q) = %q, want %q", c.name, c.known, got, c.want)
		}
	}
}

func TestUnknownField(t *testing.T) {
	t.Parallel()
	known := []string{"max_tokens", "model", "n", "temperature"}
	long := strings.Repeat("a", 65)
	for _, c := range []struct {
		name  string
		known []string
		want  string
	}{
		{"max_tokns", known, `Unknown field "max_tokns". Did you mean "max_tokens"?`},
		{"MODEL", known, `Unknown field "MODEL". Did you mean "model"?`},
		{"temprture", known, `Unknown field "temprture". Did you mean "temperature"?`},
		{"colour", known, `Unknown field "colour". Known fields: max_tokens, model, n, temperature`},
		{"x", known, `Unknown field "x". Known fields: max_tokens, model, n, temperature`},
		{"colour", nil, `Unknown field "colour"`},
		{long, known, `Unknown field "` + long + `"`},
	} {
		if got := UnknownField(c.name, c.known); got != c.want {
			t.Errorf("UnknownField(%q, %q) = %q, want %q", c.name, c.known, got, c.want)
		}
	}
}
