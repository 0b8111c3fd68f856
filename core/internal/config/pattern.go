package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// checkPattern returns the reason why a pattern of model names is invalid, or "" if it is valid.
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

// WouldServe reports whether one of the DisabledModels matches a model.
func (s *Block) WouldServe(model string) bool {
	return slices.ContainsFunc(s.DisabledModels, func(p string) bool { return core.MatchGlob(p, model) })
}

// Serves reports whether one of the model patterns matches a model.
func (s *Block) Serves(model string) bool {
	for _, p := range s.Models {
		if core.MatchGlob(p, model) {
			return true
		}
	}
	return false
}
