//go:build unix

package fileowner

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/agentarea/agentarea/test/testenv"
)

func TestInheritTree(t *testing.T) {
	t.Parallel()
	testenv.AsRoot(t)
	const nobody = 65534
	outside, dir := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "file"))
	write(t, filepath.Join(dir, "tree", "folder", "file"))
	for link, target := range map[string]string{"link": outside, filepath.Join("tree", "link"): outside} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}

	if err := InheritTree(filepath.Join(dir, "tree")); err != nil {
		t.Fatal(err)
	}
	if err := InheritTree(filepath.Join(dir, "link")); err == nil {
		t.Error("a tree that was replaced by a link to another folder: got no error")
	}

	for path, want := range map[string]uint32{
		filepath.Join(dir, "tree"):                   nobody,
		filepath.Join(dir, "tree", "folder", "file"): nobody,
		filepath.Join(dir, "tree", "link"):           nobody,
		outside:                                      0,
		filepath.Join(outside, "file"):               0,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t).Uid; got != want {
			t.Errorf("%s belongs to user %d, want %d", path, got, want)
		}
	}
}

// write creates a file and its folder.
func write(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
