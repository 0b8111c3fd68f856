package core

import (
	"slices"
	"strings"
)

// maxSlug is how many characters a slug may have.
const maxSlug = 40

// reservedSlugs are those whose tools would be taken for the platform's own.
var reservedSlugs = []string{"files"}

// CheckSlug says whether an MCP server may have a slug: nil, or an Invalid of
// field that says what to change. Tools are named slug__tool, so a slug has
// nothing of an underscore.
func CheckSlug(field, slug string) error {
	switch {
	case slug == "":
		return Invalid(field, "Must not be empty: give one like my-server")
	case strings.ContainsFunc(slug, notOfSlug):
		return Invalid(field, "Must be of a-z, 0-9 and hyphens only, like my-server")
	case slug[0] == '-' || slug[len(slug)-1] == '-' || strings.Contains(slug, "--"):
		return Invalid(field, "Must not begin or end with a hyphen, nor have two in a row: write one like my-server")
	case len(slug) > maxSlug:
		return Invalid(field, "Must be at most %d characters long: shorten it", maxSlug)
	case slices.Contains(reservedSlugs, slug):
		return Invalid(field, "The slug %q is reserved, for the tools %s__* are the platform's own: give another", slug, slug)
	}
	return nil
}

func notOfSlug(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
}

// Slugify makes a slug of a name, as far as the name has letters of a slug: a
// valid one, or one that is reserved.
func Slugify(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '-' || notOfSlug(r) })
	slug := strings.Join(words, "-")
	if slug == "" {
		return "server"
	}
	return strings.TrimRight(slug[:min(len(slug), maxSlug)], "-")
}
