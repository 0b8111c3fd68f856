package main

import (
	"fmt"
	"net/url"
	"path"
	"strings"
)

// A name on the disk ends in one of these, so that the object "a" can stand
// beside the folder of "a/b", and no name is "", "." or "..".
const (
	objectSuffix = ".f"
	folderSuffix = ".d"
)

// objectPath is where a key's object is: objects/a.d/b.f for a/b. Different keys
// have different paths, on disks that know no upper case too.
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

// folderOf is where the objects are that share a key's folder.
func folderOf(objectPath string) string { return path.Dir(objectPath) }

// escape writes a segment in lower-case ASCII: 80 bytes become 240 at most, and
// 255 are what file systems take.
func escape(b *strings.Builder, segment string) {
	for i := range len(segment) {
		if c := segment[i]; plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(b, "%%%02X", c)
		}
	}
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// unescape gives the segment that escape made a name of. ok is false for other
// names.
func unescape(name string) (segment string, ok bool) {
	segment, err := url.PathUnescape(name)
	var b strings.Builder
	escape(&b, segment)
	return segment, err == nil && b.String() == name
}
