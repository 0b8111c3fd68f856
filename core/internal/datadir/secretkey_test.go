package datadir

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func openTemp(t *testing.T) *Dir {
	t.Helper()
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestSecretKeys_firstKeyIsKept(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	first, err := d.SecretKeys()
	if err != nil || len(first) != 1 || len(first[0]) != 32 {
		t.Fatalf("got %d keys, error %v, want one key of 32 bytes", len(first), err)
	}
	second, err := d.SecretKeys()
	if err != nil || !bytes.Equal(first[0], second[0]) {
		t.Errorf("the second call returned another key, error %v", err)
	}
	info, err := os.Stat(d.File(KeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file = %04o, error %v, want 0600", info.Mode(), err)
	}
}

func TestSecretKeys_twoKeys(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	text := strings.Repeat("ab", 32) + "\n" + strings.Repeat("cd", 32) + "\n"
	if err := os.WriteFile(d.File(KeyFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if both, err := d.SecretKeys(); err != nil || len(both) != 2 || both[0][0] != 0xab {
		t.Errorf("got %x, error %v, want both keys in the order of the file", both, err)
	}
}

func TestSecretKeys_fileThatOthersCanRead(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	if _, err := d.SecretKeys(); err != nil {
		t.Fatal(err)
	}
	path := d.File(KeyFile)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o700, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := d.SecretKeys(); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %04o: error %v, want one that says chmod 600", mode, err)
		}
	}
}

func TestSecretKeys_invalidKey(t *testing.T) {
	t.Parallel()
	d := openTemp(t)
	path := d.File(KeyFile)
	if err := os.WriteFile(path, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.SecretKeys(); err == nil || strings.Contains(err.Error(), "hunter2") ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names %s and not the key", err, path)
	}
}
