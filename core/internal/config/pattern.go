package config

import (
	"fmt"
	"strings"
)

// checkPattern returns what is wrong with a pattern of model names, or "".
func checkPattern(p string) string {
	switch {
	case p == "":
		return "it is empty"
	case strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "a model name contains no spaces"
	case strings.ContainsAny(p, `[]{}\`):
		return fmt.Sprintf("only the wildcards * (any text) and ? (one character) are supported, not %q", p)
	}
	return ""
}

// Serves reports whether one of the model patterns matches a model.
func (s *Block) Serves(model string) bool {
	for _, p := range s.Models {
		if match(p, model) {
			return true
		}
	}
	return false
}

// match reports whether s matches a pattern in which * stands for any text, including slashes, and ? for one
// byte. It backtracks only to the last *, so it takes at most len(pattern) × len(s) steps.
func match(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
