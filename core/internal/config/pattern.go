package config

import (
	"fmt"
	"strings"
)

// checkPattern says what is wrong with a pattern of model names; empty is nothing.
func checkPattern(p string) string {
	switch {
	case p == "":
		return "it is empty"
	case strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "a model's name has no blanks"
	case strings.ContainsAny(p, `[]{}\`):
		return fmt.Sprintf("only * (anything) and ? (one character) are special in %q", p)
	}
	return ""
}

// Serves says whether one of the stanza's model patterns matches.
func (s *Stanza) Serves(model string) bool {
	for _, p := range s.Models {
		if match(p, model) {
			return true
		}
	}
	return false
}

// match compares with a pattern in which * stands for anything, slashes too,
// and ? for one byte. It goes back to the last * only, so it never takes more
// than len(pattern) × len(s) steps.
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
