package core

import (
	"path"
	"strings"
)

// MatchGlob reports whether the pattern matches all of name. In a pattern, * matches any
// text, ? matches one character, [a-z] matches one character of a class, and \ removes the
// special meaning of the next character. A slash is an ordinary character. A malformed
// pattern matches nothing, and no pattern matches a name that contains a NUL.
func MatchGlob(pattern, name string) bool {
	// path.Match treats only the slash specially, so a NUL takes its place.
	if strings.Contains(name, "\x00") {
		return false
	}
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00"))
	return ok && err == nil
}
