package main

import (
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

const hexDigits = "0123456789ABCDEF"

// escape writes a segment in lower-case ASCII: 80 bytes become 240 at most, and
// 255 are what file systems take.
func escape(b *strings.Builder, segment string) {
	for i := range len(segment) {
		c := segment[i]
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// unescape is the segment of a name without its suffix. ok is false for a name
// that escape does not make.
func unescape(name string) (segment string, ok bool) {
	if !strings.Contains(name, "%") {
		for i := range len(name) {
			if !plain(name[i]) {
				return "", false
			}
		}
		return name, true
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '%' {
			if i+2 >= len(name) {
				return "", false
			}
			high, low := strings.IndexByte(hexDigits, name[i+1]), strings.IndexByte(hexDigits, name[i+2])
			if high < 0 || low < 0 || plain(byte(high<<4|low)) {
				return "", false
			}
			c, i = byte(high<<4|low), i+2
		} else if !plain(c) {
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}
