package main

import (
	"fmt"
	"net/url"
	"path"
	"strings"
)

// Suffixes of every name on the disk. With them the object "a" can exist beside the folder
// of "a/b", and no name is "", "." or "..".
const (
	objectSuffix = ".f"
	folderSuffix = ".d"
)

// objectPath returns the path of a key's object, such as objects/a.d/b.f for a/b. Different
// keys have different paths, on case-insensitive file systems too.
func objectPath(key string) string {
	var b strings.Builder
	b.WriteString(objectsFolder)
	for rest, more := key, true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		b.WriteByte('/')
		escape(&b, segment)
		if more {
			b.WriteString(folderSuffix)
		}
	}
	b.WriteString(objectSuffix)
	return b.String()
}

// folderOf returns the folder of an object's path.
func folderOf(objectPath string) string { return path.Dir(objectPath) }

// escape writes a segment of a key in lower-case ASCII. A segment of 80 bytes needs at most
// 240, and file systems accept 255.
func escape(b *strings.Builder, segment string) {
	for i := range len(segment) {
		if c := segment[i]; isUnreserved(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(b, "%%%02X", c)
		}
	}
}

// isUnreserved reports whether a byte needs no escape.
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// unescape is the inverse of escape. It returns false for a name that escape cannot
// produce.
func unescape(name string) (segment string, ok bool) {
	segment, err := url.PathUnescape(name)
	var b strings.Builder
	escape(&b, segment)
	return segment, err == nil && b.String() == name
}
