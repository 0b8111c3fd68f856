// Package backup writes everything that a server keeps to one archive, restores it, and copies one
// database to another.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/backup/archive"
	"github.com/agentarea/agentarea/core/internal/datadir"
	"github.com/agentarea/agentarea/core/internal/secrets"
	"github.com/agentarea/agentarea/storage"
)

// Options configure Create.
type Options struct {
	// File is the path of the archive, which must not exist.
	File string
	// DataDir is the data directory of the server.
	DataDir string
	// DatabaseURL is the URL of the server's database.
	DatabaseURL string
	// IncludeKey adds the secret keys to the archive.
	IncludeKey bool
	// SkipMissing continues if the content of a file is missing or damaged, and lists the file in the
	// manifest. Without it Create returns an error.
	SkipMissing bool
	// Version is the version of this program, for the manifest.
	Version string
}

// Create writes an archive and returns its manifest. The server may run meanwhile. The archive
// appears under its name only when it is complete.
func Create(ctx context.Context, o Options) (m *archive.Manifest, err error) {
	if _, err := os.Stat(o.DataDir); err != nil {
		return nil, fmt.Errorf("open the data dir: %w (name the server's data dir with --data-dir)", err)
	}
	err = storage.With(ctx, o.DatabaseURL, storage.Options{Existing: true}, func(db *storage.DB) error {
		out, err := archive.Create(o.File)
		if err != nil {
			return err
		}
		defer out.Abort()
		w := &writer{Options: o, db: db, out: out, added: map[string]*addedFile{}}
		m, err = w.write(ctx)
		return err
	})
	return m, err
}

// inDataDir reports whether the archive is in the data directory.
func (o *Options) inDataDir() bool {
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return false
	}
	file, err := filepath.Abs(o.File)
	return err == nil && strings.HasPrefix(file, dir+string(filepath.Separator))
}

// writer writes one archive.
type writer struct {
	Options
	db  *storage.DB
	out *archive.Writer
	// added has the contents of files that are in the archive, by the name of their entry.
	added map[string]*addedFile
	// needed has the names of the entries that the last snapshot of the database refers to.
	needed map[string]bool
}

// addedFile is an entry of the archive with the content of a file.
type addedFile struct {
	blob core.Blob
	// sum is the SHA-256 of the content that was read, whether or not it is the expected one.
	sum string
}

// maxSnapshots bounds how often write takes a snapshot because files were moved meanwhile.
const maxSnapshots = 10

// write writes the archive of a server that may be running. It takes a snapshot of the database first
// and reads the contents of its files afterwards. An upload stores the content before the row, so the
// content of every row in the snapshot existed. A deletion or a move changes the row before it deletes
// the content. So if content is missing when write reads it, the row of the running server tells why: a
// file that was deleted meanwhile is deleted from the snapshot, too; a file that was moved needs another
// snapshot; and if the row has not changed, the content is missing on the server.
func (w *writer) write(ctx context.Context) (*archive.Manifest, error) {
	for range maxSnapshots {
		dir, err := os.MkdirTemp(filepath.Dir(w.File), ".agentarea-backup-")
		if err != nil {
			return nil, err
		}
		m, err := w.tryWrite(ctx, filepath.Join(dir, archive.Database))
		if err := errors.Join(err, os.RemoveAll(dir)); !errors.Is(err, errMoved) {
			return m, err
		}
	}
	return nil, errors.New("files are being moved faster than they can be read: try again after agentarea files move")
}

// errMoved reports that files were moved to another backend after the snapshot.
var errMoved = errors.New("files were moved meanwhile")

// tryWrite takes a snapshot of the database to the file at path, adds the contents that are not yet in
// the archive, and finishes the archive. It fails with errMoved if write must take another snapshot.
func (w *writer) tryWrite(ctx context.Context, path string) (*archive.Manifest, error) {
	if err := w.db.Snapshot(ctx, path); err != nil {
		return nil, err
	}
	var m *archive.Manifest
	err := storage.With(ctx, "sqlite://"+path, storage.Options{Existing: true}, func(snapshot *storage.DB) (err error) {
		files, err := filesOf(ctx, snapshot)
		if err != nil {
			return err
		}
		if err := w.addContents(ctx, files); err != nil {
			return err
		}
		if err := w.deleteDeleted(ctx, snapshot, files); err != nil {
			return err
		}
		m, err = w.manifest(ctx, snapshot, files)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(m.Missing) > 0 && !w.SkipMissing {
		return nil, fmt.Errorf("the content of %s is missing or damaged: %s (delete these files, or back up without "+
			"their content with --skip-missing)",
			english.Plural(len(m.Missing), "file", ""), strings.Join(m.Missing, ", "))
	}
	if _, err := w.out.AddFile(archive.Database, path); err != nil {
		return nil, err
	}
	if err := w.addOtherPlugins(ctx); err != nil {
		return nil, err
	}
	if w.IncludeKey {
		if err := w.addKeys(); err != nil {
			return nil, err
		}
		m.KeyIncluded = true
	}
	if w.inDataDir() {
		if err := w.out.InheritOwner(); err != nil {
			return nil, err
		}
	}
	return m, w.out.Finish(m, func(e archive.Entry) bool { return w.added[e.Name] != nil && !w.needed[e.Name] })
}

// deleteDeleted deletes the files from the snapshot and from files that have no content because they were
// deleted after the snapshot. It fails with errMoved if a file was moved to another backend.
func (w *writer) deleteDeleted(ctx context.Context, snapshot *storage.DB, files fileIndex) error {
	admin := core.Actor{Role: core.RoleAdmin}
	_, _, missing := w.sort(ctx, files)
	for _, f := range missing {
		now, err := w.db.File(ctx, admin, f.ID)
		switch {
		case core.CodeOf(err) == core.CodeNotFound:
			if _, err := snapshot.DeleteFile(ctx, nil, admin, f.ID, 0, time.Now()); err != nil {
				return err
			}
			delete(files[f.Blob.Backend], path.Base(f.Blob.Key))
		case err != nil:
			return err
		case now.Blob != f.Blob:
			return errMoved
		}
	}
	return nil
}

// blobName matches the last part of a blob's key. The name of the file on disk that has its content
// contains it, too.
var blobName = regexp.MustCompile(`blob-[0-9a-z]+`)

// fileIndex has the files of a database by their backend and then by the name of their blob.
type fileIndex map[string]map[string]*core.File

func filesOf(ctx context.Context, db *storage.DB) (fileIndex, error) {
	files := fileIndex{}
	return files, db.EachFile(ctx, func(f *core.File) error {
		if files[f.Blob.Backend] == nil {
			files[f.Blob.Backend] = map[string]*core.File{}
		}
		files[f.Blob.Backend][path.Base(f.Blob.Key)] = f
		return nil
	})
}

// addContents adds the contents of the files whose backend keeps them in the data directory.
func (w *writer) addContents(ctx context.Context, files fileIndex) error {
	for backend, of := range files {
		err := w.walk(ctx, "files-"+backend, func(name, onDisk string) error {
			f := of[blobName.FindString(path.Base(name))]
			if f == nil || w.added[name] != nil {
				return nil
			}
			e, err := w.out.AddFile(name, onDisk)
			if err == nil {
				w.added[name] = &addedFile{blob: f.Blob, sum: e.SHA256}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// walk calls do with the entry name and the path of each file that a plugin keeps in the data
// directory. It skips files that are deleted meanwhile.
func (w *writer) walk(ctx context.Context, plugin string, do func(name, onDisk string) error) error {
	return walk(ctx, w.DataDir, plugin, do)
}

func walk(ctx context.Context, dataDir, plugin string, do func(name, onDisk string) error) error {
	root, err := filepath.EvalSymlinks(filepath.Join(dataDir, archive.Plugins, plugin))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(onDisk string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && d.Type().IsRegular() {
			var rel string
			if rel, err = filepath.Rel(root, onDisk); err == nil {
				err = do(path.Join(archive.Plugins, plugin, filepath.ToSlash(rel)), onDisk)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// addOtherPlugins adds the data in the data directory of plugins other than file backends.
func (w *writer) addOtherPlugins(ctx context.Context) error {
	plugins, err := os.ReadDir(filepath.Join(w.DataDir, archive.Plugins))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, p := range plugins {
		if strings.HasPrefix(p.Name(), "files-") {
			continue
		}
		err := w.walk(ctx, p.Name(), func(name, onDisk string) error {
			_, err := w.out.AddFile(name, onDisk)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) addKeys() error {
	source, err := datadir.FindKeys(w.DataDir, os.Getenv)
	if err != nil {
		return err
	}
	text := datadir.FormatKeys(source.Keys) + "\n"
	_, err = w.out.Add(archive.Key, int64(len(text)), strings.NewReader(text))
	return err
}

// manifest returns the manifest of a snapshot.
func (w *writer) manifest(ctx context.Context, snapshot *storage.DB, files fileIndex) (*archive.Manifest, error) {
	m := &archive.Manifest{AgentArea: w.Version, From: "sqlite", Elsewhere: []archive.Files{}, Missing: []string{}}
	if strings.HasPrefix(w.DatabaseURL, "postgres") {
		m.From = "postgres"
	}
	s, err := snapshot.Schema(ctx)
	if err != nil {
		return nil, err
	}
	m.Schema = s.Version
	if m.Tables, err = tablesOf(ctx, snapshot); err != nil {
		return nil, err
	}
	count := func(page []core.EncryptedSecret) error { m.Secrets += len(page); return nil }
	if err := secrets.EachPage(ctx, snapshot, count); err != nil {
		return nil, err
	}
	included, elsewhere, missing := w.sort(ctx, files)
	w.needed = map[string]bool{}
	for name, f := range included {
		w.needed[name] = true
		m.Files.Count++
		m.Files.Bytes += f.Size
	}
	m.Elsewhere = append(m.Elsewhere, elsewhere...)
	for _, f := range missing {
		m.Missing = append(m.Missing, f.ID)
	}
	return m, nil
}

// sort tells where the contents of files are: in the archive, by the name of their entry; in backends outside
// the data directory, sorted by backend; or nowhere, sorted by id.
func (w *writer) sort(ctx context.Context, files fileIndex) (
	included map[string]*core.File, elsewhere []archive.Files, missing []*core.File,
) {
	entries := map[core.Blob]string{}
	for name, a := range w.added {
		entries[a.blob] = name
	}
	included = map[string]*core.File{}
	for backend, of := range files {
		outside := archive.Files{Backend: backend}
		external := w.isEmpty(ctx, backend)
		for _, f := range of {
			name := entries[f.Blob]
			switch {
			case name != "" && w.added[name].sum == f.SHA256:
				included[name] = f
			case external:
				outside.Count++
				outside.Bytes += f.Size
			default:
				missing = append(missing, f)
			}
		}
		if outside.Count > 0 {
			elsewhere = append(elsewhere, outside)
		}
	}
	slices.SortFunc(elsewhere, func(a, b archive.Files) int { return strings.Compare(a.Backend, b.Backend) })
	slices.SortFunc(missing, func(a, b *core.File) int { return strings.Compare(a.ID, b.ID) })
	return included, elsewhere, missing
}

// isEmpty reports whether a file backend keeps nothing in the data directory.
func (w *writer) isEmpty(ctx context.Context, backend string) bool {
	errFound := errors.New("found")
	return w.walk(ctx, "files-"+backend, func(string, string) error { return errFound }) == nil
}

func tablesOf(ctx context.Context, db *storage.DB) ([]archive.Table, error) {
	sums, err := db.Sums(ctx)
	tables := make([]archive.Table, len(sums))
	for i, s := range sums {
		tables[i] = archive.Table{Name: s.Name, Rows: s.Rows, Sum: s.Sum}
	}
	return tables, err
}
