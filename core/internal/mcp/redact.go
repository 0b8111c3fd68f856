package mcp

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/agentarea/agentarea/core"
)

// minSecret is the minimum length of a redacted value, in bytes. A shorter value would
// match ordinary text.
const minSecret = 4

// redactor removes secret values from texts.
type redactor struct {
	replacer *strings.Replacer
}

// newRedactor returns a redactor of a server's secrets. It also redacts each line of a
// multi-line value, because logs are split by line, and the x of a header "Bearer x".
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
	// The longest first, because the replacer prefers earlier pairs.
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

func (r *redactor) redactAll(s string) string {
	if r.replacer == nil {
		return s
	}
	return r.replacer.Replace(s)
}

// redact returns s without secrets, truncated to maxReason bytes.
func (r *redactor) redact(s string) string { return truncate(r.redactAll(s), maxReason) }

// truncate shortens s to at most n bytes and appends an ellipsis.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
