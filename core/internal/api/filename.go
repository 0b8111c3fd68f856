package api

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agentarea/agentarea/core"
)

// maxFileName is how many characters a file's name may have.
const maxFileName = 255

// fileName is the name that a client gives a file, without its folders. field is
// the one to blame for a name that can't be one.
func fileName(field, given string) (string, error) {
	name := given[strings.LastIndexAny(given, `/\`)+1:]
	switch {
	case !utf8.ValidString(name):
		return "", core.Invalid(field, "The file's name must be valid UTF-8: encode it so, or give another")
	case strings.ContainsFunc(name, unicode.IsControl):
		return "", core.Invalid(field, "The file's name must not contain control characters (NUL, line breaks, tabs): take them out")
	case strings.ContainsFunc(name, reorders):
		return "", core.Invalid(field, "The file's name must not contain characters that reorder text (U+202A to U+202E, U+2066 to U+2069): take them out")
	case strings.TrimSpace(name) == "":
		return "", core.Invalid(field, "The file's name must not be empty: give it one, like report.pdf")
	case name == "." || name == "..":
		return "", core.Invalid(field, "The file's name must not be %q: give it one, like report.pdf", name)
	case utf8.RuneCountInString(name) > maxFileName:
		return "", core.Invalid(field, "The file's name must be at most %d characters long: shorten it", maxFileName)
	}
	return name, nil
}

// reorders says that a character can make a name look like another one, as with
// gpj.exe that is shown as exe.jpg. The marks U+200E and U+200F can't.
func reorders(r rune) bool { return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 }
