package mcp

import (
	"regexp"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
)

var modelsTake = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// FuzzToolName checks that names are valid for models, start with the slug and are unique.
func FuzzToolName(f *testing.F) {
	for _, s := range [][3]string{
		{"a", "search", "find"},
		{"my-server", "a/b", "a_b"},
		{"s", "ü", "_"},
		{"s", "", "_"},
		{strings.Repeat("s", 40), strings.Repeat("t", 90), strings.Repeat("t", 91)},
		{"s", "a b", "a\tb"},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, slug, one, other string) {
		if core.CheckSlug("slug", slug) != nil {
			return
		}
		name := toolName(slug, one)
		if !modelsTake.MatchString(name) || !strings.HasPrefix(name, slug+separator) {
			t.Errorf("%q of %q has the name %q", one, slug, name)
		}
		if one != other && toolName(slug, other) == name {
			t.Errorf("%q and %q of %q both have the name %q", one, other, slug, name)
		}
	})
}

// FuzzRedact checks that no redacted text contains the secret.
func FuzzRedact(f *testing.F) {
	f.Add("sk-secret", "the key is sk-secret, and", "Bearer abcdef")
	f.Add("line one\nline two", "line two", "x")
	f.Add("aaaa", "aaaaaaa", "aaaab")
	f.Add("***", "***", "****")
	f.Fuzz(func(t *testing.T, env, text, header string) {
		r := newRedactor(core.MCPSecrets{Env: map[string]string{"A": env}, Headers: map[string]string{"B": header}})
		got := r.redactAll(text)
		for _, secret := range []string{strings.TrimSpace(env), strings.TrimSpace(header)} {
			// Shorter secrets are not redacted, and the mask may form one of asterisks again.
			if len(secret) >= 4 && strings.Trim(secret, "*") == secret && !strings.Contains(secret, "*") &&
				strings.Contains(got, secret) {
				t.Errorf("%q is in %q, redacted from %q", secret, got, text)
			}
		}
	})
}
