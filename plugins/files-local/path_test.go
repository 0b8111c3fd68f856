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
			t.Errorf("objectPath(%q) = %q, want %q", tt.key, got, tt.path)
		}
	}
}

// The path of any key stays in the folder, has no name that is too long or special, does not
// depend on case, and identifies the key.
func TestObjectPath_anyKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(rapid.StringN(1, 255, 255), rapid.StringMatching(`[aA.%/d-]{1,12}`)).Draw(t, "key")
		if files.CheckKey(key) != nil {
			return
		}
		path, below := strings.CutPrefix(objectPath(key), "objects/")
		if !below || path != strings.ToLower(path) && !strings.Contains(path, "%") {
			t.Errorf("objectPath(%q) = objects/%s, want lower case", key, path)
		}
		var segments []string
		names := strings.Split(path, "/")
		for i, name := range names {
			suffix := folderSuffix
			if i == len(names)-1 {
				suffix = objectSuffix
			}
			segment, ok := unescape(strings.TrimSuffix(name, suffix))
			if !ok || !strings.HasSuffix(name, suffix) || len(name) > 255 || name == "." || name == ".." {
				t.Errorf("path %q has the invalid name %q", path, name)
			}
			segments = append(segments, segment)
		}
		if got := strings.Join(segments, "/"); got != key {
			t.Errorf("key read from path %q = %q, want %q", path, got, key)
		}
	})
}

func TestUnescape_foreignNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"A", "a b", "%", "%4", "%4g", "%2f", "%61", "é", "lost+found"} {
		if segment, ok := unescape(name); ok {
			t.Errorf("unescape(%q) = %q, true, want false", name, segment)
		}
	}
}
