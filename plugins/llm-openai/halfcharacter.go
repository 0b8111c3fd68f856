package main

import (
	"strings"

	"github.com/tidwall/gjson"
)

// halfCharacter joins the two halves of a character that a server has split between two JSON strings, such as
// "\ud83d" and "\ude00". Each half alone is not a character.
type halfCharacter struct {
	// kept is the escaped first half, or "".
	kept string
}

// join returns the text of a JSON string, with the half that was kept, and without a half at its end.
func (h *halfCharacter) join(value gjson.Result) string {
	if len(value.Raw) < 2 || h.kept == "" && !endsInHalf(value.Raw[1:len(value.Raw)-1]) {
		return value.Str
	}
	escaped := h.kept + value.Raw[1:len(value.Raw)-1]
	h.kept = ""
	if endsInHalf(escaped) {
		h.kept = escaped[len(escaped)-6:]
		escaped = escaped[:len(escaped)-6]
	}
	return gjson.Parse(`"` + escaped + `"`).Str
}

// endsInHalf reports whether a JSON string ends in the escaped first half of a character: \ud800 to \udbff.
func endsInHalf(escaped string) bool {
	if len(escaped) < 6 {
		return false
	}
	last := escaped[len(escaped)-6:]
	if last[0] != '\\' || last[1] != 'u' || last[2] != 'd' && last[2] != 'D' ||
		!strings.ContainsRune("89abAB", rune(last[3])) {
		return false
	}
	// An even number of backslashes before it are escaped backslashes.
	before := escaped[:len(escaped)-6]
	return (len(before)-len(strings.TrimRight(before, `\`)))%2 == 0
}
