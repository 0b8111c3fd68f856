package core

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFileName is the maximum number of characters in a file name.
const maxFileName = 255

// CheckFileName returns nil if name is a valid file name. Otherwise it returns an Invalid error for
// field that describes what to change.
func CheckFileName(field, name string) error {
	switch {
	case !utf8.ValidString(name):
		return Invalid(field, "The file name must be valid UTF-8")
	case strings.TrimSpace(name) == "":
		return Invalid(field, "The file name must not be empty. Use a name such as report.pdf")
	case name == "." || name == "..":
		return Invalid(field, "The file name must not be %q. Use a name such as report.pdf", name)
	case strings.ContainsAny(name, `/\`):
		return Invalid(field, "The file name must not contain a slash or backslash. Files are not in folders")
	case strings.ContainsFunc(name, unicode.IsControl):
		return Invalid(field, "The file name must not contain control characters, such as NUL, line breaks and tabs")
	case strings.ContainsFunc(name, isBidiControl):
		return Invalid(field,
			"The file name must not contain characters that reorder text (U+202A to U+202E, U+2066 to U+2069)")
	case utf8.RuneCountInString(name) > maxFileName:
		return Invalid(field, "The file name must be at most %d characters long", maxFileName)
	}
	return nil
}

// isBidiControl reports whether r can make a name look like another one, for example gpj.exe like
// exe.jpg.
func isBidiControl(r rune) bool { return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 }
