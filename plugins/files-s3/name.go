package main

import (
	"strings"
)

// What S3 servers do with names differs: some keep them in folders of a disk,
// where "a" and "a/b" can't both be, "." and ".." mean something, and the letters
// of other scripts may come back in another form. So an object's name is its key
// in an alphabet that all take alike:
//
//	0-9 A-Z a-z     stand for themselves, and so do - . / behind the start of a segment
//	!XX =XX _XX ~XX any other byte, in hex
//	-               as a whole segment is the empty one
//	!               ends the name, so that no object is another's folder
//
// The four signs are chosen for their place among the letters: names sort as their
// keys do, byte by byte, and List can take the server's order. No sign stands for
// two things: what ends in ! is an object, and a segment that is or begins with a
// dash or a dot is escaped.
//
//	file-01jd/v1   file-01jd/v1!
//	a//../b c      a/-/!2E./b!20c!

// endOfName is below every other sign.
const endOfName = "!"

const hexDigits = "0123456789ABCDEF"

// objectName is the name of a key's object.
func objectName(key string) string { return namePrefix(key) + endOfName }

// namePrefix begins the names of the objects whose keys begin with prefix, and
// of no others.
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
		case isPlain(c), !start && (c == '-' || c == '.'):
			b.WriteByte(c)
		default:
			b.Write([]byte{sign(c), hexDigits[c>>4], hexDigits[c&15]})
		}
		start = c == '/'
	}
	return b.String()
}

func isPlain(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// sign begins the escape of a byte; it sorts between the plain ones as the byte does.
func sign(c byte) byte {
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

// keyOf is the key of an object; false says that the name is none of ours.
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
		case c == '/' || c == '-' || c == '.' || isPlain(c):
			key = append(key, c)
		case i+2 < len(name):
			key = append(key, unhex(name[i+1])<<4|unhex(name[i+2]))
			i += 2
		}
		start = c == '/'
	}
	// One way of writing a key is ours, and every other is not.
	if string(key) == "" || namePrefix(string(key)) != name {
		return "", false
	}
	return string(key), true
}

func unhex(c byte) byte {
	return byte(strings.IndexByte(hexDigits, c)) //nolint:gosec // keyOf finds out when it is none
}
