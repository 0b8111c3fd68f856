package backup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core/internal/backup/archive"
	"github.com/agentarea/agentarea/core/internal/datadir"
	"github.com/agentarea/agentarea/storage/migrations"
	"github.com/agentarea/agentarea/test/dbtest"
)

// newArchive writes an archive with an empty database and this manifest, and returns its path.
func newArchive(t *testing.T, m archive.Manifest) string {
	t.Helper()
	dir := t.TempDir()
	database, path := filepath.Join(dir, "source.db"), filepath.Join(dir, "backup.tar")
	dbtest.Create(t, database)
	w, err := archive.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.AddFile(archive.Database, database); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(&m, func(archive.Entry) bool { return false }); err != nil {
		t.Fatal(err)
	}
	return path
}

// options returns the options to restore an archive into a data directory that does not exist.
func options(t *testing.T, file string) RestoreOptions {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	return RestoreOptions{File: file, DataDir: dir, DatabaseURL: "sqlite://" + filepath.Join(dir, datadir.DatabaseFile)}
}

func TestRestore(t *testing.T) {
	t.Parallel()
	o := options(t, newArchive(t, archive.Manifest{AgentArea: "1.0.0", Schema: len(migrations.All())}))
	o.DryRun = true
	if _, err := Restore(t.Context(), o); err != nil {
		t.Fatalf("dry run: %v", err)
	}
	if _, err := os.Stat(o.DataDir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a dry run has created the data directory: %v", err)
	}
	o.DryRun = false
	r, err := Restore(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Key != KeyMissing || r.Manifest.AgentArea != "1.0.0" {
		t.Errorf("Restore() = %+v, want no key and the manifest", r)
	}
	if _, err := os.Stat(filepath.Join(o.DataDir, datadir.DatabaseFile)); err != nil {
		t.Error(err)
	}
	if _, err := Restore(t.Context(), o); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("second Restore() = %v, want an error about a directory that is not empty", err)
	}
}

// A restore that is refused leaves nothing behind.
func TestRestore_refused(t *testing.T) {
	t.Parallel()
	known := len(migrations.All())
	for _, tt := range []struct {
		name     string
		manifest archive.Manifest
		change   func(t *testing.T, o *RestoreOptions)
		want     string
	}{
		{
			name: "newer schema", manifest: archive.Manifest{AgentArea: "9.9.9", Schema: known + 1},
			want: "restore it with agentarea 9.9.9, which wrote it, or a newer version",
		},
		{
			name: "secrets without a key", manifest: archive.Manifest{Schema: known, Secrets: 2},
			want: "has 2 encrypted secrets but not the key: name a copy of the server's secret.key with --key-file",
		},
		{
			name: "key file that does not exist", manifest: archive.Manifest{Schema: known, Secrets: 2},
			change: func(_ *testing.T, o *RestoreOptions) { o.KeyFile = "none" }, want: "--key-file: ",
		},
		{
			name:     "missing rows",
			manifest: archive.Manifest{Schema: known, Tables: []archive.Table{{Name: "users", Rows: 3}}},
			want:     "table users does not have the 3 rows of the manifest (nothing was restored)",
		},
		{
			name: "database that exists", manifest: archive.Manifest{Schema: known},
			change: func(t *testing.T, o *RestoreOptions) {
				path := filepath.Join(t.TempDir(), "other.db")
				dbtest.Create(t, path)
				o.DatabaseURL = "sqlite://" + path
			},
			want: "already exists: restore into a new one (nothing was restored)",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options(t, newArchive(t, tt.manifest))
			if tt.change != nil {
				tt.change(t, &o)
			}
			if _, err := Restore(t.Context(), o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Restore() = %v, want an error with %q", err, tt.want)
			}
			if _, err := os.Stat(o.DataDir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the data directory exists after the refusal: %v", err)
			}
		})
	}
}

func TestCreate_withoutServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := Options{File: filepath.Join(dir, "backup.tar"), DataDir: filepath.Join(dir, "none"), DatabaseURL: "sqlite://" + dir + "/none.db"}
	if _, err := Create(t.Context(), o); err == nil || !strings.Contains(err.Error(), "name the server's data dir with --data-dir") {
		t.Errorf("Create() = %v, want an error about the data directory", err)
	}
	o.DataDir = dir
	if _, err := Create(t.Context(), o); err == nil {
		t.Error("Create() = nil without a database, want an error")
	}
	if _, err := os.Stat(o.File); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a failed Create has left an archive: %v", err)
	}
}
