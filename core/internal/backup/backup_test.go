package backup

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/backup/archive"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/dbtest"
)

// The files that are deleted between the snapshot and the end of the archive are not in it, however many they
// are. A file whose content is missing on the server is reported.
func TestDeleteDeleted(t *testing.T) {
	t.Parallel()
	live, dir := dbtest.Open(t), t.TempDir()
	now := time.Now().UTC()
	u := &core.User{
		ID: core.NewID("user"), Username: "ann", Email: "ann@example.com", Role: core.RoleMember, CreatedAt: now, UpdatedAt: now,
	}
	if err := live.CreateUser(t.Context(), nil, u); err != nil {
		t.Fatal(err)
	}
	create := func(name string) string {
		blob := core.Blob{Backend: "local", Key: "blob-" + name}
		f := &core.File{
			ID: core.NewID("file"), Name: name, Blob: blob, CreatedBy: u.ID, Size: 1, Version: 1, CreatedAt: now, UpdatedAt: now,
		}
		if err := live.ReserveBlob(t.Context(), blob, now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := live.CreateFile(t.Context(), nil, f, 0); err != nil {
			t.Fatal(err)
		}
		return f.ID
	}
	deleted, missing := create("a"), create("b")
	content := filepath.Join(dir, archive.Plugins, "files-local", "x")
	if err := os.MkdirAll(filepath.Dir(content), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(content, nil, 0o600); err != nil { // the backend keeps files in the data directory
		t.Fatal(err)
	}
	path := filepath.Join(dir, "snapshot.db")
	if err := live.Snapshot(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	actor := core.Actor{UserID: u.ID, Role: u.Role}
	if _, err := live.DeleteFile(t.Context(), nil, actor, deleted, 0, now); err != nil {
		t.Fatal(err)
	}

	w := &writer{Options: Options{DataDir: dir}, db: live}
	err := storage.With(t.Context(), "sqlite://"+path, storage.Options{Existing: true}, func(snapshot *storage.DB) error {
		files, err := filesOf(t.Context(), snapshot)
		if err != nil {
			return err
		}
		if err := w.deleteDeleted(t.Context(), snapshot, files); err != nil {
			return err
		}
		m, err := w.manifest(t.Context(), snapshot, files)
		if err == nil && (len(m.Missing) != 1 || m.Missing[0] != missing) {
			t.Errorf("missing = %q, want %q", m.Missing, missing)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if entries, _ := filepath.Glob(path + "*"); len(entries) != 1 {
		t.Errorf("the snapshot consists of %q, want one file", entries)
	}
	err = storage.With(t.Context(), "sqlite://"+path, storage.Options{Existing: true}, func(snapshot *storage.DB) error {
		_, total, err := snapshot.Files(t.Context(), actor, core.FileFilter{})
		if total != 1 {
			t.Errorf("the snapshot has %d files, want 1", total)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
