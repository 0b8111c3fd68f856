package mcp

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/agentarea/agentarea/core"
)

// redactor removes secret values from texts.
type redactor struct {
	replacer *strings.Replacer
}

// newRedactor returns a redactor of a server's secrets.
func newRedactor(secrets core.MCPSecrets) *redactor {
	values := secrets.Texts()
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
