package core

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFileName is how many characters a file's name may have.
const maxFileName = 255

// CheckFileName says whether a file may be called so: nil, or an Invalid of field
// that says what to change.
func CheckFileName(field, name string) error {
	switch {
	case !utf8.ValidString(name):
		return Invalid(field, "The file's name must be valid UTF-8: encode it so, or give another")
	case strings.TrimSpace(name) == "":
		return Invalid(field, "The file's name must not be empty: give one like report.pdf")
	case name == "." || name == "..":
		return Invalid(field, "The file's name must not be %q: give one like report.pdf", name)
	case strings.ContainsAny(name, `/\`):
		return Invalid(field, "The file's name must not contain a slash or backslash: files have no folders")
	case strings.ContainsFunc(name, unicode.IsControl):
		return Invalid(field, "The file's name must not contain control characters, such as NUL, line breaks and tabs: take them out")
	case strings.ContainsFunc(name, reorders):
		return Invalid(field, "The file's name must not contain characters that reorder text (U+202A to U+202E, U+2066 to U+2069): take them out")
	case utf8.RuneCountInString(name) > maxFileName:
		return Invalid(field, "The file's name must be at most %d characters long: shorten it", maxFileName)
	}
	return nil
}

// reorders says that a character can make a name look like another one: gpj.exe
// like exe.jpg.
func reorders(r rune) bool { return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 }
