package main

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/agentarea/agentarea/sdk/files"
)

func TestObjectPath(t *testing.T) {
	t.Parallel()
	tests := []struct{ key, path string }{
		{"ab/file-1", "objects/ab.d/file-1.f"},
		{"a", "objects/a.f"},
		{"A", "objects/%41.f"},
		{"..", "objects/...f"},
		{".", "objects/..f"},
		{"../../etc/passwd", "objects/...d/...d/etc.d/passwd.f"},
		{"/etc", "objects/.d/etc.f"},
		{"a//b/", "objects/a.d/.d/b.d/.f"},
		{"a.d/b", "objects/a.d.d/b.f"},
		{"%2F", "objects/%252%46.f"},
		{"\u00e9 \\", "objects/%C3%A9%20%5C.f"},
	}
	for _, tt := range tests {
		if got := objectPath(tt.key); got != tt.path {
			t.Errorf("objectPath(%q) = %q; want %q", tt.key, got, tt.path)
		}
	}
}

// Whatever the key: its path goes nowhere else, no name is too long or special,
// case does not matter, and the key can be read from it.
func TestObjectPathOfAnyKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(rapid.StringN(1, 255, 255), rapid.StringMatching(`[aA.%/d-]{1,12}`)).Draw(t, "key")
		if files.CheckKey(key) != nil {
			return
		}
		path, below := strings.CutPrefix(objectPath(key), "objects/")
		if !below || path != strings.ToLower(path) && !strings.Contains(path, "%") {
			t.Errorf("path = %q", path)
		}
		var back []string
		names := strings.Split(path, "/")
		for i, name := range names {
			suffix := folderSuffix
			if i == len(names)-1 {
				suffix = objectSuffix
			}
			segment, ok := unescape(strings.TrimSuffix(name, suffix))
			if !ok || !strings.HasSuffix(name, suffix) || len(name) > 255 || name == "." || name == ".." {
				t.Errorf("name %q of path %q", name, path)
			}
			back = append(back, segment)
		}
		if got := strings.Join(back, "/"); got != key {
			t.Errorf("the path %q is that of %q too", path, got)
		}
	})
}

func TestUnescapeOfNamesThatAreNotOurs(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"A", "a b", "%", "%4", "%4g", "%2f", "%61", "é", "lost+found"} {
		if segment, ok := unescape(name); ok {
			t.Errorf("%q is the name of %q", name, segment)
		}
	}
}
