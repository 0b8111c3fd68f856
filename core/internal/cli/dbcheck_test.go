package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/datadir"
	"github.com/agentarea/agentarea/storage"
)

// dataDirWithFiles returns a data dir whose database has the files file-1 and file-2 with their content.
func dataDirWithFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if code, _, stderr := command(t, "db", "migrate", "--data-dir="+dir); code != 0 {
		t.Fatal(stderr)
	}
	must(t, storage.With(t.Context(), "sqlite://"+filepath.Join(dir, "agentarea.db"), storage.Options{}, func(db *storage.DB) error {
		now := time.Now()
		must(t, db.CreateUser(t.Context(), nil, &core.User{ID: "user-1", Username: "ada", Role: core.RoleMember, CreatedAt: now}))
		for _, n := range []string{"1", "2"} {
			blob := core.Blob{Backend: "local", Key: "user-1/blob-" + n}
			must(t, db.ReserveBlob(t.Context(), blob, now.Add(time.Hour)))
			must(t, db.CreateFile(t.Context(), nil, &core.File{
				ID: "file-" + n, Name: "a.txt", Size: 5, CreatedBy: "user-1", CreatedAt: now, UpdatedAt: now, Version: 1, Blob: blob,
			}, 0))
			writeContent(t, dir, "blob-"+n, "Hello")
		}
		// An upload in progress has content, and no file yet.
		return db.ReserveBlob(t.Context(), core.Blob{Backend: "local", Key: "user-1/blob-3"}, now.Add(time.Hour))
	}))
	writeContent(t, dir, "blob-3", "Hel")
	return dir
}

// content returns the path at which files-local keeps a blob.
func content(dir, blob string) string {
	return filepath.Join(dir, "plugins", "files-local", "files", "objects", "user-1.d", blob+".f")
}

func writeContent(t *testing.T, dir, blob, text string) {
	t.Helper()
	path := content(dir, blob)
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDBCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage   func(t *testing.T, dir string)
		code     int
		want     string
		wantFrom string // stderr
	}{
		"nothing": {
			func(*testing.T, string) {}, 0, "integrity: ok\nforeign keys: ok\nfiles: ok\n", "",
		},
		"missing content": {
			func(t *testing.T, dir string) { must(t, os.Remove(content(dir, "blob-1"))) },
			1, "files: 1 problem\n  the content blob-1 of the file file-1 is missing\n", "1 problem in the database sqlite://",
		},
		"content of another size": {
			func(t *testing.T, dir string) { writeContent(t, dir, "blob-2", "Hell") },
			1, "the content blob-2 of the file file-2 has 4 bytes instead of 5\n", "1 problem",
		},
		"content without a file": {
			func(t *testing.T, dir string) { writeContent(t, dir, "blob-4", "Hello") },
			1, "the content blob-4 of the file backend \"local\" belongs to no file\n", "1 problem",
		},
		"several": {
			func(t *testing.T, dir string) {
				writeContent(t, dir, "blob-4", "Hello")
				must(t, os.Remove(content(dir, "blob-1")))
			},
			1, "files: 2 problems\n", "2 problems in the database",
		},
		"another data dir": {
			func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "plugins"))) },
			0, "NOT CHECKED: the content of 2 files (10 B) of the file backend \"local\"", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := dataDirWithFiles(t)
			c.damage(t, dir)
			code, out, stderr := command(t, "db", "check", "--data-dir="+dir)
			if code != c.code || !strings.Contains(out, c.want) || !strings.Contains(stderr, c.wantFrom) {
				t.Errorf("exit code %d, output %q, stderr %q; want %d, %q, %q", code, out, stderr, c.code, c.want, c.wantFrom)
			}
		})
	}
}

func TestDBVacuum(t *testing.T) {
	t.Parallel()
	dir := dataDirWithFiles(t)
	if code, out, stderr := command(t, "db", "vacuum", "--data-dir="+dir); code != 0 || !strings.Contains(out, "vacuumed sqlite://") {
		t.Errorf("exit code %d, output %q %q, want 0", code, out, stderr)
	}
	lock, err := datadir.LockDatabase(filepath.Join(dir, "agentarea.db"), "/srv/other")
	must(t, err)
	defer func() { must(t, lock.Close()) }()
	if code, _, stderr := command(t, "db", "vacuum", "--data-dir="+dir); code != 1 ||
		!strings.Contains(stderr, "another server uses the database") {
		t.Errorf("vacuum beside a server: exit code %d, stderr %q, want 1 and the other server", code, stderr)
	}
	if code, _, stderr := command(t, "db", "vacuum", "--data-dir="+t.TempDir()); code != 1 ||
		!strings.Contains(stderr, "no such file") {
		t.Errorf("vacuum of no database: exit code %d, stderr %q, want 1", code, stderr)
	}
}
