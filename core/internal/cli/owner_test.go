//go:build unix

package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/datadir"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/testenv"
)

// nobody is a user and a group without privileges.
const nobody = 65534

// newOwned returns a data directory with secrets and files of plugins that nobody owns, as a service's.
func newOwned(t *testing.T) string {
	t.Helper()
	dir, db := newSecrets(t, 2)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "plugins", "agent-x"), 0o700),
		os.WriteFile(filepath.Join(dir, "plugins", "agent-x", "state"), []byte("x"), 0o600),
		os.WriteFile(filepath.Join(dir, "plugins.hcl"), []byte("plugin_dirs = [\"/bin\"]\nplugin \"llm\" \"echo\" {\n  command = \"true\"\n}\n"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	own(t, dir)
	return dir
}

// own gives everything in dir to nobody.
func own(t *testing.T, dir string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	}); err != nil {
		t.Fatal(err)
	}
}

// notOwned returns the files in dir that do not belong to nobody.
func notOwned(t *testing.T, dir string) (found []string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if s := info.Sys().(*syscall.Stat_t); err == nil && (s.Uid != nobody || s.Gid != nobody) {
			found = append(found, strings.TrimPrefix(path, dir))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// What root's commands create in the data directory of another user belongs to that user, whose server could not
// start otherwise.
func TestCommandsKeepTheOwner(t *testing.T) {
	t.Parallel()
	testenv.AsRoot(t)
	backup := func(t *testing.T, of string) string {
		t.Helper()
		file := filepath.Join(t.TempDir(), "backup.tar")
		if code, _, stderr := command(t, "backup", file, "--data-dir", of, "--include-key"); code != 0 {
			t.Fatal(stderr)
		}
		return file
	}
	for _, tt := range []struct {
		name string
		// args returns the command for a data directory of nobody. It may empty the directory.
		args func(t *testing.T, dir string) []string
		// created is a file that exists afterwards.
		created string
	}{
		{"secrets rotate", func(_ *testing.T, dir string) []string {
			return []string{"secrets", "rotate", "--data-dir", dir}
		}, datadir.KeyFile},
		{"secrets rotate --keep-old", func(_ *testing.T, dir string) []string {
			return []string{"secrets", "rotate", "--keep-old", "--data-dir", dir}
		}, "lock"},
		{"secrets status", func(_ *testing.T, dir string) []string {
			return []string{"secrets", "status", "--data-dir", dir}
		}, datadir.DatabaseFile},
		{"db status", func(_ *testing.T, dir string) []string {
			return []string{"db", "status", "--data-dir", dir}
		}, datadir.DatabaseFile},
		{"db migrate", func(t *testing.T, dir string) []string {
			if err := os.Remove(filepath.Join(dir, datadir.DatabaseFile)); err != nil {
				t.Fatal(err)
			}
			return []string{"db", "migrate", "--data-dir", dir}
		}, datadir.DatabaseFile},
		{"db copy", func(_ *testing.T, dir string) []string {
			return []string{"db", "copy", "--from", "sqlite://" + dir + "/agentarea.db", "--to", "sqlite://" + dir + "/copy.db"}
		}, "copy.db"},
		{"backup", func(_ *testing.T, dir string) []string {
			return []string{"backup", filepath.Join(dir, "backup.tar"), "--data-dir", dir}
		}, "backup.tar"},
		{"restore", func(t *testing.T, dir string) []string {
			file := backup(t, dir)
			empty(t, dir)
			return []string{"restore", file, "--data-dir", dir}
		}, filepath.Join("plugins", "agent-x", "state")},
		{"plugins lock", func(_ *testing.T, dir string) []string {
			return []string{"plugins", "lock", "--config", filepath.Join(dir, "plugins.hcl")}
		}, "plugins.hcl"},
		{"users reset-password", func(t *testing.T, dir string) []string {
			addUser(t, dir)
			own(t, dir)
			return []string{"users", "reset-password", "ada", "--data-dir", dir}
		}, datadir.DatabaseFile},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := newOwned(t)
			args := tt.args(t, dir)
			if code, _, stderr := command(t, args...); code != 0 {
				t.Fatalf("agentarea %s: exit code %d: %s", strings.Join(args, " "), code, stderr)
			}
			if _, err := os.Stat(filepath.Join(dir, tt.created)); err != nil {
				t.Error(err)
			}
			if found := notOwned(t, dir); len(found) > 0 {
				t.Errorf("these files belong to root: %q", found)
			}
		})
	}
}

// A backup outside of the data directory belongs to root, who may be the only one to read it.
func TestBackupElsewhereBelongsToRoot(t *testing.T) {
	t.Parallel()
	testenv.AsRoot(t)
	dir, other := newOwned(t), t.TempDir()
	own(t, other)
	file := filepath.Join(other, "backup.tar")
	if code, _, stderr := command(t, "backup", file, "--data-dir", dir); code != 0 {
		t.Fatal(stderr)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has the owner %d and mode %v, want root and 0600", uid, info.Mode())
	}
}

// A backup in the data directory belongs to root if it has the content of a file of root, which the owner of the
// directory could otherwise read through a link.
func TestBackupOfLinkBelongsToRoot(t *testing.T) {
	t.Parallel()
	testenv.AsRoot(t)
	dir, other := newOwned(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, filepath.Join(dir, "plugins", "agent-y")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "backup.tar")
	if code, _, stderr := command(t, "backup", file, "--data-dir", dir); code != 0 {
		t.Fatal(stderr)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 {
		t.Errorf("the backup has the owner %d, want root", uid)
	}
}

// empty removes everything in dir.
func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// addUser adds the user ada to the database of a data directory.
func addUser(t *testing.T, dir string) {
	t.Helper()
	err := storage.With(t.Context(), "sqlite://"+dir+"/agentarea.db", storage.Options{}, func(db *storage.DB) error {
		return db.CreateUser(t.Context(), nil, &core.User{ID: "user-1", Username: "ada", Role: core.RoleAdmin})
	})
	if err != nil {
		t.Fatal(err)
	}
}
