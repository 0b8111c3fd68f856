package main

import (
	"cmp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestObjectName(t *testing.T) {
	t.Parallel()
	for key, name := range map[string]string{
		"file-01jd/v1": "file-01jd/v1!",
		"a":            "a!",
		"a/":           "a/!",
		"/a":           "-/a!",
		"a//../b c":    "a/-/!2E./b!20c!",
		"./-":          "!2E/!2D!",
		"a.b-c_d":      "a.b-c_5Fd!",
		"é:~":          "~C3~A9=3A~7E!",
		"\x01":         "!01!",
	} {
		if got := objectName(key); got != name {
			t.Errorf("objectName(%q) = %q, want %q", key, got, name)
		}
		if got, ok := keyOf(name); got != key || !ok {
			t.Errorf("keyOf(%q) = %q, %t, want %q", name, got, ok, key)
		}
	}
}

func TestKeyOf_foreignNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", "!", "a", "a/b", ".hidden!", "-a!", "-!", "a/-!", "a_b!", "a!2!",
		"a!!", "a!2e!", "a!61!", "a=20!", "a!zz!", "é!", "a//b!", "/a!",
	} {
		if key, ok := keyOf(name); ok {
			t.Errorf("keyOf(%q) = %q, true, want false", name, key)
		}
	}
}

// keyGen draws keys with characters that an encoding could confuse.
var keyGen = rapid.Custom(func(t *rapid.T) string {
	parts := rapid.SliceOfN(rapid.SampledFrom([]string{
		"/", "/", "/", ".", "-", "!", "_", "=", "~", "a", "Z", "0", "9", "z", "{",
		"@", ":", "[", "`", " ", "%", "2", "E", "\x01", "\x7f", "é", "🗄", "\ufffd",
	}), 1, 12).Draw(t, "parts")
	return strings.Join(parts, "")
})

func TestObjectName_preservesKeys(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := keyGen.Draw(t, "a"), keyGen.Draw(t, "b")
		if got, ok := keyOf(objectName(a)); got != a || !ok {
			t.Fatalf("keyOf(objectName(%q)) = %q", a, got)
		}
		if cmp.Compare(a, b) != cmp.Compare(objectName(a), objectName(b)) {
			t.Fatalf("keys %q and %q sort differently from names %q and %q", a, b, objectName(a), objectName(b))
		}
		if strings.HasPrefix(a, b) != strings.HasPrefix(objectName(a), namePrefix(b)) {
			t.Fatalf("prefix %q of key %q does not match prefix %q of name %q", b, a, namePrefix(b), objectName(a))
		}
		for _, segment := range strings.Split(objectName(a), "/") {
			if segment == "" || segment == "." || segment == ".." || strings.HasPrefix(segment, ".") {
				t.Fatalf("objectName(%q) = %q has a special segment", a, objectName(a))
			}
		}
	})
}

func TestObjectName_longest(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("\x01", 255)
	if n := len(objectName(key)); n > maxName {
		t.Errorf("the longest name has %d bytes, want at most %d", n, maxName)
	}
}
