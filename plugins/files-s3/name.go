package main

import (
	"strings"
)

// S3 servers treat object names differently. Some store them as files on a disk, where "a" and
// "a/b" cannot both exist, "." and ".." are special, and non-ASCII letters may be normalized. An
// object's name is therefore its key, encoded with characters that all servers treat alike:
//
//	0-9 A-Z a-z     are not escaped; neither are - . / after the start of a segment
//	!XX =XX _XX ~XX is any other byte, in hexadecimal
//	-               as a whole segment is the empty segment
//	!               ends each name, so that no object's name is a folder of another
//
// The four escape characters are chosen for their position in ASCII: names sort like their keys,
// byte by byte, so that List can use the server's order. The encoding is unambiguous: a name ends
// in "!", and a "-" or "." at the start of a segment is escaped.
//
//	file-01jd/v1   file-01jd/v1!
//	a//../b c      a/-/!2E./b!20c!

// endOfName sorts before every other character of a name.
const endOfName = "!"

const hexDigits = "0123456789ABCDEF"

// objectName returns the name of a key's object.
func objectName(key string) string { return namePrefix(key) + endOfName }

// namePrefix returns the common prefix of the names of exactly those objects whose keys
// start with prefix.
func namePrefix(prefix string) string {
	var b strings.Builder
	b.Grow(len(prefix) + 8)
	start := true
	for i := range len(prefix) {
		c := prefix[i]
		switch {
		case c == '/':
			if start {
				b.WriteByte('-')
			}
			b.WriteByte(c)
		case isAlphanumeric(c), !start && (c == '-' || c == '.'):
			b.WriteByte(c)
		default:
			b.Write([]byte{escapeChar(c), hexDigits[c>>4], hexDigits[c&15]})
		}
		start = c == '/'
	}
	return b.String()
}

// isAlphanumeric reports whether a byte is an ASCII letter or digit.
func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// escapeChar returns the first character of the escape of a byte. It sorts between the
// letters and digits as the byte itself does.
func escapeChar(c byte) byte {
	switch {
	case c < '0':
		return '!'
	case c < 'A':
		return '='
	case c < 'a':
		return '_'
	}
	return '~'
}

// keyOf returns the key of an object, or false if objectName cannot produce the name.
func keyOf(name string) (string, bool) {
	name, ok := strings.CutSuffix(name, endOfName)
	if !ok {
		return "", false
	}
	key := make([]byte, 0, len(name))
	start := true
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case start && c == '-' && strings.HasPrefix(name[i:], "-/"):
			// The slash follows.
		case c == '/' || c == '-' || c == '.' || isAlphanumeric(c):
			key = append(key, c)
		case i+2 < len(name):
			key = append(key, unhex(name[i+1])<<4|unhex(name[i+2]))
			i += 2
		}
		start = c == '/'
	}
	// The loop also accepts names that objectName does not produce.
	if string(key) == "" || namePrefix(string(key)) != name {
		return "", false
	}
	return string(key), true
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	return byte(strings.IndexByte(hexDigits, c)) //nolint:gosec // keyOf rejects a name with another character
}
