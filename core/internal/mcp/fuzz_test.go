package mcp

import (
	"regexp"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
)

var modelsTake = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Whatever a server calls its tools, models take the name, it says whose it is,
// and no other tool of the server has it.
func FuzzToolName(f *testing.F) {
	for _, s := range [][3]string{{"a", "search", "find"}, {"my-server", "a/b", "a_b"}, {"s", "ü", "_"}, {"s", "", "_"}, {strings.Repeat("s", 40), strings.Repeat("t", 90), strings.Repeat("t", 91)}, {"s", "a b", "a\tb"}} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, slug, one, other string) {
		if core.CheckSlug("slug", slug) != nil {
			return
		}
		name := toolName(slug, one)
		if !modelsTake.MatchString(name) || !strings.HasPrefix(name, slug+separator) {
			t.Errorf("%q of %q is called %q", one, slug, name)
		}
		if one != other && toolName(slug, other) == name {
			t.Errorf("%q and %q of %q are both called %q", one, other, slug, name)
		}
	})
}

// A secret is in no text that is told, wherever it stood and whatever stood around it.
func FuzzRedact(f *testing.F) {
	f.Add("sk-secret", "the key is sk-secret, and", "Bearer abcdef")
	f.Add("line one\nline two", "line two", "x")
	f.Add("aaaa", "aaaaaaa", "aaaab")
	f.Add("***", "***", "****")
	f.Fuzz(func(t *testing.T, env, text, header string) {
		r := newRedactor(secrets{Env: map[string]string{"A": env}, Headers: map[string]string{"B": header}})
		got := r.text(text)
		for _, secret := range []string{strings.TrimSpace(env), strings.TrimSpace(header)} {
			// What is put in its place may spell one anew only if it is made of stars.
			if len(secret) >= minSecret && strings.Trim(secret, "*") == secret && !strings.Contains(secret, "*") && strings.Contains(got, secret) {
				t.Errorf("%q is in %q, of %q", secret, got, text)
			}
		}
	})
}
