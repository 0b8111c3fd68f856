package app

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestSecretKeyStaysTheSameAndIsPrivate(t *testing.T) {
	t.Parallel()
	d, err := openDataDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	first, err := d.secretKeys()
	if err != nil || len(first) != 1 || len(first[0]) != 32 {
		t.Fatal(len(first), err)
	}
	second, err := d.secretKeys()
	if err != nil || !bytes.Equal(first[0], second[0]) {
		t.Error("another key", err)
	}
	path := d.file(keyFile)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("ab", 32)+"\n"+strings.Repeat("cd", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if both, err := d.secretKeys(); err != nil || len(both) != 2 || both[0][0] != 0xab {
		t.Errorf("%x %v", both, err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o700, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := d.secretKeys(); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.secretKeys(); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}
