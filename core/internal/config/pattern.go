package config

import (
	"fmt"
	"strings"

	"github.com/agentarea/agentarea/core"
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
		if core.MatchGlob(p, model) {
			return true
		}
	}
	return false
}
