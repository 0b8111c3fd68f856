package main

import "testing"

// FuzzObjectName checks that keyOf accepts only names that objectName produces.
func FuzzObjectName(f *testing.F) {
	for _, s := range []string{
		"file-1/v1!", "a/-/!2E./b!20c!", "-!", "!", "a", "!00!", "!0!", "a//b!", "=3A!", "!3A!", "~FF!", "-/!",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if key, ok := keyOf(name); ok && objectName(key) != name {
			t.Errorf("keyOf(%q) = %q, but objectName of that is %q", name, key, objectName(key))
		}
		if name == "" {
			return
		}
		if key, ok := keyOf(objectName(name)); !ok || key != name {
			t.Errorf("keyOf(%q) = %q, want %q", objectName(name), key, name)
		}
	})
}
