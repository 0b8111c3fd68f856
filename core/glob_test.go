package core_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/agentarea/agentarea/core"
)

func TestMatchGlob(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"gpt-4", "gpt-4", true},
		{"gpt-4", "gpt-4o", false},
		{"gpt-*", "gpt-4o", true},
		{"*", "", true},
		{"*", "meta/llama-3", true},
		{"meta/*-3", "meta/llama/chat-3", true},
		{"*b*d", "abcd", true},
		{"*b*d", "abce", false},
		{"o?", "o3", true},
		{"o?", "o", false},
		{"?", "é", true},
		{"a?b", "a/b", true},
		{"fs__[rw]*", "fs__read", true},
		{"fs__[rw]*", "fs__list", false},
		{"[", "[", false},
		{"", "", true},
		{"", "a", false},
	} {
		if got := core.MatchGlob(tt.pattern, tt.name); got != tt.want {
			t.Errorf("MatchGlob(%q, %q) = %v, want %v", tt.pattern, tt.name, got, tt.want)
		}
	}
}

// FuzzMatchGlob compares patterns of * and ? with the equivalent regular expression.
func FuzzMatchGlob(f *testing.F) {
	for _, s := range [][2]string{
		{"gpt-*", "gpt-4"},
		{"*a*b", "xaxb"},
		{"?", "é"},
		{"a?c*", "abcd"},
		{"**", ""},
		{"", ""},
		{"*.*", "a.b"},
		{"a/*", "a/b/c"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if strings.ContainsAny(pattern, "[]\\\x00") || strings.Contains(name, "\x00") || len(pattern)+len(name) > 200 ||
			!utf8.ValidString(pattern) || !utf8.ValidString(name) {
			return
		}
		re := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
		want := regexp.MustCompile(`(?s)\A` + re + `\z`).MatchString(name)
		if got := core.MatchGlob(pattern, name); got != want {
			t.Errorf("MatchGlob(%q, %q) = %v, want %v", pattern, name, got, want)
		}
	})
}
