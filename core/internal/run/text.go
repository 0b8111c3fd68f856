package run

import (
	"strings"
	"unicode/utf8"
)

// plainText is data as text: what is not UTF-8 becomes U+FFFD, and so does NUL,
// which some databases and providers refuse.
func plainText(data []byte) string {
	return strings.ReplaceAll(strings.ToValidUTF8(string(data), "\uFFFD"), "\x00", "\uFFFD")
}

// wholeRunes is data without a rune that is cut at its end.
func wholeRunes(data []byte) []byte {
	for n := 1; n <= min(len(data), utf8.UTFMax-1); n++ {
		tail := data[len(data)-n:]
		if !utf8.RuneStart(tail[0]) {
			continue
		}
		if !utf8.FullRune(tail) {
			return data[:len(data)-n]
		}
		break
	}
	return data
}
