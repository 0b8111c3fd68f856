package core_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/agentarea/agentarea/core"
)

// FuzzFileName checks that an accepted name is safe in a header, a log line and a listing.
func FuzzFileName(f *testing.F) {
	for _, s := range []string{
		"report.pdf", "é.txt", "..", "a\r\nb", "\u202egpj.exe", "a\x00", "\xff", strings.Repeat("a", 256),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if core.CheckFileName("name", name) != nil {
			return
		}
		if !utf8.ValidString(name) || strings.TrimSpace(name) == "" || name == "." || name == ".." ||
			strings.ContainsFunc(name, unicode.IsControl) || strings.ContainsAny(name, `/\`) ||
			utf8.RuneCountInString(name) > 255 {
			t.Errorf("CheckFileName accepts %q", name)
		}
	})
}

// FuzzSlug checks that Slugify returns valid slugs and that it does not change a valid slug.
func FuzzSlug(f *testing.F) {
	for _, s := range []string{"My Server", "--", "", "files", "Ünïcode", "a_b", strings.Repeat("a-", 40)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		slug := core.Slugify(name)
		if err := core.CheckSlug("slug", slug); err != nil && slug != "files" {
			t.Errorf("Slugify(%q) = %q, which is not valid: %v", name, slug, err)
		}
		if again := core.Slugify(slug); again != slug {
			t.Errorf("Slugify(%q) = %q, want %q", slug, again, slug)
		}
		if core.CheckSlug("slug", name) == nil && slug != name {
			t.Errorf("Slugify(%q) = %q, want it unchanged", name, slug)
		}
	})
}
