package mcp

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/agentarea/agentarea/core"
)

// minSecret is how many bytes a value has to have to be taken out of texts: a
// shorter one would be found in everything.
const minSecret = 4

// redactor takes secret values out of texts.
type redactor struct {
	replacer *strings.Replacer
}

// newRedactor makes one of a server's secrets. Of a value with several lines each
// is a secret, for a log has single lines; and of a header like "Bearer x" the x.
func newRedactor(s secrets) *redactor {
	var values []string
	add := func(v string) {
		if v = strings.TrimSpace(v); len(v) >= minSecret && v != core.Masked {
			values = append(values, v)
		}
	}
	for _, v := range s.Env {
		add(v)
		for line := range strings.Lines(v) {
			add(line)
		}
	}
	for _, v := range s.Headers {
		add(v)
		if _, credentials, found := strings.Cut(strings.TrimSpace(v), " "); found {
			add(credentials)
		}
	}
	for _, v := range urlSecrets(s.URL) {
		add(v)
	}
	// The longest first: of two that begin alike, the replacer takes the earlier.
	slices.SortFunc(values, func(a, b string) int {
		if d := len(b) - len(a); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	values = slices.Compact(values)
	if len(values) == 0 {
		return &redactor{}
	}
	pairs := make([]string, 0, 2*len(values))
	for _, v := range values {
		pairs = append(pairs, v, core.Masked)
	}
	return &redactor{strings.NewReplacer(pairs...)}
}

func (r *redactor) text(s string) string {
	if r.replacer == nil {
		return s
	}
	return r.replacer.Replace(s)
}

// told is what may be told of a text: its secrets first, then its length.
func (r *redactor) told(s string) string { return cut(r.text(s), maxReason) }

// cut shortens s to at most n bytes and a mark.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
