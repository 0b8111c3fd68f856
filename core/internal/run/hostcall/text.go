package hostcall

import (
	"strings"
	"unicode/utf8"
)

// validText returns data as text. It replaces invalid UTF-8 with U+FFFD, and NUL too,
// because some databases and providers reject NUL.
func validText(data []byte) string {
	return strings.ReplaceAll(strings.ToValidUTF8(string(data), "\uFFFD"), "\x00", "\uFFFD")
}

// trimPartialRune returns data without an incomplete rune at its end.
func trimPartialRune(data []byte) []byte {
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
