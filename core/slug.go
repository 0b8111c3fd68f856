package core

import (
	"slices"
	"strings"
)

// maxSlug is the maximum number of characters in a slug.
const maxSlug = 40

// reservedSlugs are the slugs whose tool names would clash with the platform's built-in tools.
var reservedSlugs = []string{"files"}

// CheckSlug returns nil if slug is valid for an MCP server. Otherwise it returns an Invalid error
// for field that describes what to change. A slug contains no underscores, because tools are named
// slug__tool.
func CheckSlug(field, slug string) error {
	switch {
	case slug == "":
		return Invalid(field, "Must not be empty. Use a slug such as my-server")
	case strings.ContainsFunc(slug, isNotSlugChar):
		return Invalid(field, "Must contain only a-z, 0-9 and hyphens, such as my-server")
	case slug[0] == '-' || slug[len(slug)-1] == '-' || strings.Contains(slug, "--"):
		return Invalid(field, "Must not begin or end with a hyphen or contain two in a row. Use a slug such as my-server")
	case len(slug) > maxSlug:
		return Invalid(field, "Must be at most %d characters long", maxSlug)
	case slices.Contains(reservedSlugs, slug):
		return Invalid(field, "The slug %q is reserved, because the tools %s__* are built in. Choose another slug",
			slug, slug)
	}
	return nil
}

// isNotSlugChar reports whether a slug must not contain r.
func isNotSlugChar(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
}

// Slugify returns a slug for a name. It keeps letters a-z and digits, and replaces everything else
// with hyphens. If nothing is left, it returns "server". The slug is valid, but can be reserved.
func Slugify(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '-' || isNotSlugChar(r) })
	slug := strings.Join(words, "-")
	if slug == "" {
		return "server"
	}
	return strings.TrimRight(slug[:min(len(slug), maxSlug)], "-")
}
