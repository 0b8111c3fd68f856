package datadir

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wantInUse fails the test unless the error names the data directory or database in use and this process.
func wantInUse(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, want := range append(texts, fmt.Sprint("process ", os.Getpid(), " on "), "data dir /srv/first") {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one that contains %q", err, want)
		}
	}
}

func TestLockDatabase_otherPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	for _, err := range []error{
		os.Mkdir(at("real"), 0o700), os.Mkdir(at("links"), 0o700),
		os.Symlink(at("real"), at("dir")), os.Symlink("../real/a.db", at("links", "b.db")),
		os.Symlink(at("links", "b.db"), at("c.db")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	paths := map[string]string{
		"the same": at("real", "a.db"), "a folder link": at("dir", "a.db"), "a relative link": at("links", "b.db"),
		"a link to a link": at("c.db"), "dots": at("real", "..", "dir", ".", "a.db"),
	}
	check := func(t *testing.T) {
		first, err := LockDatabase(at("real", "a.db"), "/srv/first")
		if err != nil {
			t.Fatal(err)
		}
		for name, path := range paths {
			_, err := LockDatabase(path, "/srv/second")
			if err == nil {
				t.Errorf("%s: no error", name)
				continue
			}
			wantInUse(t, err, "another server uses the database "+at("real", "a.db"), "--database-url")
		}
		other, err := LockDatabase(at("real", "other.db"), "/srv/second")
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		for name, path := range paths {
			again, err := LockDatabase(path, "/srv/second")
			if err != nil {
				t.Fatalf("%s, after the first lock was released: %v", name, err)
			}
			_ = again.Close()
		}
	}
	t.Run("before the file exists", check)
	if err := os.WriteFile(at("real", "a.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("with the file", check)
}

func TestLockDatabase_missingFolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none", "a.db")
	if _, err := LockDatabase(path, "/srv/first"); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got error %v, want one that names %s", err, path)
	}
}

func TestClaim_copies(t *testing.T) {
	t.Parallel()
	lock := func(dataDir string) *DatabaseLock {
		t.Helper()
		l, err := LockDatabase(filepath.Join(t.TempDir(), "a.db"), dataDir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	first, copied, other := lock("/srv/first"), lock("/srv/second"), lock("/srv/third")
	instance := "instance-" + first.path // unique among parallel tests
	if err := first.Claim(instance); err != nil {
		t.Fatal(err)
	}
	if err := other.Claim(instance + "-other"); err != nil {
		t.Errorf("Claim of another instance: %v", err)
	}
	for range 3 {
		wantInUse(t, copied.Claim(instance), "the database "+copied.path+" is a copy", "agentarea backup")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := copied.Claim(instance); err != nil {
		t.Errorf("Claim after the other server has ended: %v", err)
	}
}
