package main

import "testing"

// A name that is taken for one of ours is the only one that its key has.
func FuzzObjectName(f *testing.F) {
	for _, s := range []string{"file-1/v1!", "a/-/!2E./b!20c!", "-!", "!", "a", "!00!", "!0!", "a//b!", "=3A!", "!3A!", "~FF!", "-/!"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if key, ok := keyOf(name); ok && objectName(key) != name {
			t.Errorf("%q is the key %q, which is %q", name, key, objectName(key))
		}
		if name == "" {
			return
		}
		if key, ok := keyOf(objectName(name)); !ok || key != name {
			t.Errorf("the key %q becomes %q, and that %q", name, objectName(name), key)
		}
	})
}
