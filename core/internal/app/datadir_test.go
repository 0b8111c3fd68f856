package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDataDirIsHeldByOneServer(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deep", "data")
	d, err := openDataDir(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openDataDir(path); err == nil || !strings.Contains(err.Error(), "another server uses the data dir") {
		t.Errorf("second: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := openDataDir(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

func TestSecretKeyStaysTheSameAndIsPrivate(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	open := func() *dataDir {
		d, err := openDataDir(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return d
	}
	d := open()
	first, err := d.secretKey()
	if err != nil || len(first) != 32 {
		t.Fatal(len(first), err)
	}
	second, err := d.secretKey()
	if err != nil || !bytes.Equal(first, second) {
		t.Error("another key", err)
	}
	info, err := os.Stat(d.file("secret.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if err := os.WriteFile(d.file("secret.key"), []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.secretKey(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}
