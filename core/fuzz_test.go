package core_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/agentarea/agentarea/core"
)

// A name that is taken can stand in a header, a log line and a listing as it is.
func FuzzFileName(f *testing.F) {
	for _, s := range []string{"report.pdf", "é.txt", "..", "a\r\nb", "\u202egpj.exe", "a\x00", "\xff", strings.Repeat("a", 256)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if core.CheckFileName("name", name) != nil {
			return
		}
		if !utf8.ValidString(name) || strings.TrimSpace(name) == "" || name == "." || name == ".." ||
			strings.ContainsFunc(name, unicode.IsControl) || strings.ContainsAny(name, `/\`) || utf8.RuneCountInString(name) > 255 {
			t.Errorf("%q is taken", name)
		}
	})
}

func FuzzSlug(f *testing.F) {
	for _, s := range []string{"My Server", "--", "", "files", "Ünïcode", "a_b", strings.Repeat("a-", 40)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		slug := core.Slugify(name)
		if err := core.CheckSlug("slug", slug); err != nil && slug != "files" {
			t.Errorf("of %q it makes %q: %v", name, slug, err)
		}
		if again := core.Slugify(slug); again != slug {
			t.Errorf("of %q it makes %q, and of that %q", name, slug, again)
		}
		if core.CheckSlug("slug", name) == nil && slug != name {
			t.Errorf("the slug %q becomes %q", name, slug)
		}
	})
}
