package backup

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/agentarea/agentarea/core/internal/backup/archive"
	"github.com/agentarea/agentarea/core/internal/datadir"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/storage/fileowner"
)

// commit moves everything from the staging folder to its place, the database last.
func (r *restorer) commit(ctx context.Context) error {
	for _, name := range []string{archive.Plugins, datadir.KeyFile} {
		err := os.Rename(filepath.Join(r.staging, name), r.dir.File(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := writeNew(filepath.Join(r.staging, preparedFile), r.in.Sum); err != nil {
		return err
	}
	if err := errors.Join(datadir.SyncDir(r.staging), datadir.SyncDir(r.dir.Path())); err != nil {
		return err
	}
	if target := r.sqliteFile(); target != "" {
		return moveFile(r.stagedDatabase(), target)
	}
	err := r.withStaged(ctx, func(from *storage.DB) error {
		return storage.With(ctx, r.DatabaseURL, storage.Options{}, func(to *storage.DB) error {
			if err := to.Migrate(ctx); err != nil {
				return err
			}
			return storage.Copy(ctx, from, to, func(storage.CopiedTable) {})
		})
	})
	if err == nil {
		return nil
	}
	// The commit may have succeeded although its reply was lost.
	committed, lookErr := r.isCommitted(ctx)
	if committed {
		return nil
	}
	r.commitUnknown = lookErr != nil
	return err
}

// finishInterrupted finishes a restore of the same archive that was killed after the commit of the
// database, and reports whether there was one.
func (r *restorer) finishInterrupted(ctx context.Context) (finished bool, err error) {
	sum, err := os.ReadFile(filepath.Join(r.staging, preparedFile))
	if err != nil || strings.TrimSpace(string(sum)) != r.in.Sum {
		return false, nil // Restore starts over.
	}
	committed, err := r.isCommitted(ctx)
	if err != nil || !committed {
		return false, err
	}
	return true, r.finish()
}

// isCommitted reports whether the database has the rows of the staged database.
func (r *restorer) isCommitted(ctx context.Context) (committed bool, err error) {
	if target := r.sqliteFile(); target != "" {
		_, err := os.Lstat(target)
		return err == nil, nil // moveFile is atomic
	}
	err = r.withStaged(ctx, func(from *storage.DB) error {
		return storage.With(ctx, r.DatabaseURL, storage.Options{}, func(to *storage.DB) error {
			if s, err := to.Schema(ctx); err != nil || s.Version != s.Known {
				return err
			}
			want, err := tablesOf(ctx, from)
			if err != nil {
				return err
			}
			got, err := tablesOf(ctx, to)
			committed = slices.Equal(got, want)
			return err
		})
	})
	return committed, err
}

// finish removes the staging folder, which makes the data directory usable.
func (r *restorer) finish() error {
	if err := os.Rename(r.staging, r.dir.File(datadir.Restored)); err != nil {
		return err
	}
	if err := datadir.SyncDir(r.dir.Path()); err != nil {
		return err
	}
	return os.RemoveAll(r.dir.File(datadir.Restored))
}

// writeNew writes a file that does not exist. The folder may belong to another user, whose link to another file root
// must not follow.
func writeNew(path, text string) error {
	file, err := fileowner.Create(path)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// moveFile moves a file atomically: it renames the file, or copies it if the target is on another file
// system.
func moveFile(from, to string) error {
	if err := os.Rename(from, to); err == nil {
		return errors.Join(fileowner.InheritTree(to), datadir.SyncDir(filepath.Dir(to)))
	}
	// A link could make root copy another file for the owner of the folder.
	in, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(out.Name()) }()
	err = fileowner.Inherit(out)
	if err == nil {
		_, err = io.Copy(out, in)
	}
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(out.Name(), to); err != nil {
		return err
	}
	return datadir.SyncDir(filepath.Dir(to))
}

// syncTree syncs the folders of a tree to disk. Its files must be synced already.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = datadir.SyncDir(path)
		}
		return err
	})
}
