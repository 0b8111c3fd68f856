package core

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFileName is how many characters a file's name may have.
const maxFileName = 255

// CheckFileName says whether a file may be called so: nil, or an Invalid of name
// that says what to change.
func CheckFileName(name string) error {
	switch {
	case !utf8.ValidString(name):
		return Invalid("name", "Must be valid UTF-8")
	case strings.TrimSpace(name) == "":
		return Invalid("name", "Must not be empty: give one like report.pdf")
	case name == "." || name == "..":
		return Invalid("name", "Must not be %q: give one like report.pdf", name)
	case strings.ContainsAny(name, `/\`):
		return Invalid("name", "Must not contain a slash or backslash: files have no folders")
	case strings.ContainsFunc(name, unicode.IsControl):
		return Invalid("name", "Must not contain control characters, such as NUL, line breaks and tabs")
	case strings.ContainsFunc(name, reorders):
		return Invalid("name", "Must not contain characters that reorder text (U+202A to U+202E, U+2066 to U+2069)")
	case utf8.RuneCountInString(name) > maxFileName:
		return Invalid("name", "Must be at most %d characters long", maxFileName)
	}
	return nil
}

// reorders says that a character can make a name look like another one: gpj.exe
// like exe.jpg.
func reorders(r rune) bool { return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 }
