package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/agentarea/agentarea/core/internal/backup/archive"
	"github.com/agentarea/agentarea/core/internal/datadir"
	"github.com/agentarea/agentarea/core/internal/secrets"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/storage/fileowner"
	"github.com/agentarea/agentarea/storage/migrations"
)

// RestoreOptions configure Restore.
type RestoreOptions struct {
	// File is the path of the archive.
	File string
	// DataDir is the data directory to fill. It must be empty or not exist.
	DataDir string
	// DatabaseURL is the URL of the database to fill. It must be empty or, for SQLite, not exist.
	DatabaseURL string
	// KeyFile is the path of a file with the server's secret keys, which becomes the key file of the
	// data directory. It is empty if the keys come from the archive or the environment.
	KeyFile string
	// WithoutKey allows a restore without the keys that decrypt the secrets.
	WithoutKey bool
	// DryRun verifies the archive and the target and changes nothing.
	DryRun bool
}

// KeyPlace is the location of the secret keys after a restore.
type KeyPlace int

// Places of the secret keys.
const (
	KeyMissing       KeyPlace = iota // nowhere: the secrets must be set again
	KeyInDataDir                     // in the key file of the data directory
	KeyInEnvironment                 // in AGENTAREA_SECRET_KEY
)

// Restored is the result of Restore.
type Restored struct {
	Manifest *archive.Manifest
	Key      KeyPlace
}

// preparedFile is the file in the staging folder that names the archive. It exists once everything but
// the database is in place.
const preparedFile = "prepared"

// Restore fills an empty data directory and an empty database from an archive. If it fails, it removes
// what it has written. If it is killed, the same call starts over, or finishes if only the last steps
// were missing. With DryRun it only verifies the archive and the target.
func Restore(ctx context.Context, o RestoreOptions) (*Restored, error) {
	in, err := archive.Open(o.File)
	if err != nil {
		return nil, err
	}
	defer in.Close() //nolint:errcheck // it was only read
	if known := len(migrations.All()); in.Manifest.Schema > known {
		return nil, fmt.Errorf("%s has schema %d, but this version of agentarea supports schemas up to %d: restore it with "+
			"agentarea %s, which wrote it, or a newer version",
			o.File, in.Manifest.Schema, known, in.Manifest.AgentArea)
	}
	r := &restorer{RestoreOptions: o, in: in}
	if err := r.findKeys(); err != nil {
		return nil, err
	}
	if o.DryRun {
		err = errors.Join(checkEmptyDir(o.DataDir), r.checkEmptyDatabase(ctx))
	} else if err = r.restore(ctx); err != nil {
		err = fmt.Errorf("%w (nothing was restored)", err)
	}
	if err != nil {
		return nil, err
	}
	return &Restored{Manifest: in.Manifest, Key: r.keyPlace()}, nil
}

// restorer restores one archive.
type restorer struct {
	RestoreOptions
	in *archive.Reader
	// keys decrypt the secrets. keyText becomes the key file; it is empty for no file.
	keys    [][]byte
	keyText string
	dir     *datadir.Dir
	// staging is the folder of the data directory in which everything is prepared.
	staging string
	// commitUnknown means that PostgreSQL may have committed the rows. The next restore finds out, so
	// this one must not remove anything.
	commitUnknown bool
}

// findKeys finds the keys in KeyFile or the environment, and checks that the archive has them if they
// are needed and neither place has them.
func (r *restorer) findKeys() error {
	switch {
	case r.KeyFile != "":
		keys, err := datadir.ReadKeys(r.KeyFile)
		if err != nil {
			return fmt.Errorf("--key-file: %w", err)
		}
		r.keys, r.keyText = keys, datadir.FormatKeys(keys)
	case os.Getenv("AGENTAREA_SECRET_KEY") != "":
		source, err := datadir.FindKeys(r.DataDir, os.Getenv)
		if err != nil {
			return err
		}
		r.keys = source.Keys
	}
	if len(r.keys) > 0 || r.in.Manifest.KeyIncluded || r.in.Manifest.Secrets == 0 || r.WithoutKey {
		return nil
	}
	return fmt.Errorf("%s has %s but not the key: name a copy of the server's secret.key with --key-file, or set "+
		"AGENTAREA_SECRET_KEY to the server's key (--without-key restores everything else; then the secrets must "+
		"be set again)",
		r.File, english.Plural(r.in.Manifest.Secrets, "encrypted secret", ""))
}

func (r *restorer) keyPlace() KeyPlace {
	switch {
	case r.keyText != "" || r.in.Manifest.KeyIncluded:
		return KeyInDataDir
	case len(r.keys) > 0:
		return KeyInEnvironment
	}
	return KeyMissing
}

// restore locks the data directory and restores into it and the database.
func (r *restorer) restore(ctx context.Context) (err error) {
	if err := checkEmptyDir(r.DataDir); err != nil {
		return err
	}
	created := false
	if _, err := os.Stat(r.DataDir); errors.Is(err, fs.ErrNotExist) {
		created = true
	}
	if r.dir, err = datadir.Lock(r.DataDir); err != nil {
		return err
	}
	defer r.dir.Close() //nolint:errcheck // this releases the lock
	// Checked again under the lock, because a server may have started and stopped meanwhile.
	if err := checkEmptyDir(r.dir.Path()); err != nil {
		return err
	}
	r.staging = r.dir.File(datadir.Restoring)
	if finished, err := r.finishInterrupted(ctx); finished || err != nil {
		return err
	}
	defer func() {
		if err != nil && !r.commitUnknown {
			err = errors.Join(err, r.removeAll(), r.removeCreatedDir(created))
		}
	}()
	if err := r.removeAll(); err != nil {
		return err
	}
	if err := r.checkEmptyDatabase(ctx); err != nil {
		return err
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if err := r.commit(ctx); err != nil {
		return err
	}
	return r.finish()
}

// checkEmptyDir returns an error if a data directory has content other than that of an interrupted
// restore.
func checkEmptyDir(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == datadir.Restoring }) {
		return nil
	}
	for _, e := range entries {
		if e.Name() != "lock" && e.Name() != "lost+found" {
			return fmt.Errorf("the data dir %s is not empty: it contains %s (restore into a new one)", path, e.Name())
		}
	}
	return nil
}

// checkEmptyDatabase returns an error if the database has content.
func (r *restorer) checkEmptyDatabase(ctx context.Context) error {
	if target := r.sqliteFile(); target != "" {
		for _, name := range []string{target, target + "-wal"} {
			if _, err := os.Lstat(name); err == nil {
				return fmt.Errorf("the database %s already exists: restore into a new one", name)
			}
		}
		return nil
	}
	return storage.With(ctx, r.DatabaseURL, storage.Options{}, func(db *storage.DB) error { return db.MustBeEmpty(ctx) })
}

// sqliteFile returns the path of the database to fill, or "" for PostgreSQL.
func (r *restorer) sqliteFile() string {
	if !strings.HasPrefix(r.DatabaseURL, "sqlite:") {
		return ""
	}
	return strings.TrimPrefix(strings.TrimPrefix(r.DatabaseURL, "sqlite:"), "//")
}

// removeAll removes everything that a restore has written to the data directory. Nothing else is
// there as long as the staging folder exists, so that folder is removed last.
func (r *restorer) removeAll() error {
	if _, err := os.Lstat(r.staging); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var errs []error
	for _, name := range []string{
		filepath.Join(datadir.Restoring, preparedFile), archive.Plugins,
		datadir.KeyFile, datadir.DatabaseFile, datadir.Restoring,
	} {
		errs = append(errs, os.RemoveAll(r.dir.File(name)))
	}
	return errors.Join(errs...)
}

// removeCreatedDir removes the data directory if this restore created it.
func (r *restorer) removeCreatedDir(created bool) error {
	if !created {
		return nil
	}
	return errors.Join(os.Remove(r.dir.File("lock")), os.Remove(r.dir.Path()))
}

// prepare extracts everything into the staging folder, checks it and migrates the database there.
func (r *restorer) prepare(ctx context.Context) error {
	if err := os.Mkdir(r.staging, 0o700); err != nil {
		return err
	}
	if err := datadir.SyncDir(r.dir.Path()); err != nil {
		return err
	}
	if err := r.in.Extract(r.staging, func(e archive.Entry) bool { return !e.Unused }); err != nil {
		return err
	}
	if r.keyText != "" {
		if err := os.WriteFile(filepath.Join(r.staging, datadir.KeyFile), []byte(r.keyText+"\n"), 0o600); err != nil {
			return err
		}
	} else if r.in.Manifest.KeyIncluded && len(r.keys) == 0 {
		keys, err := datadir.ReadKeys(filepath.Join(r.staging, archive.Key))
		if err != nil {
			return err
		}
		r.keys = keys
	}
	err := r.withStaged(ctx, func(db *storage.DB) error {
		if err := r.checkTables(ctx, db); err != nil {
			return err
		}
		if err := r.checkKeys(ctx, db); err != nil {
			return err
		}
		return db.Migrate(ctx)
	})
	if err != nil {
		return err
	}
	if err := fileowner.InheritTree(r.staging); err != nil {
		return err
	}
	return syncTree(r.staging)
}

// stagedDatabase returns the path of the database in the staging folder.
func (r *restorer) stagedDatabase() string { return filepath.Join(r.staging, archive.Database) }

func (r *restorer) withStaged(ctx context.Context, do func(*storage.DB) error) error {
	return storage.With(ctx, "sqlite://"+r.stagedDatabase(), storage.Options{Existing: true}, do)
}

// checkTables returns an error unless a database has the rows of the manifest.
func (r *restorer) checkTables(ctx context.Context, db *storage.DB) error {
	got, err := tablesOf(ctx, db)
	if err != nil {
		return err
	}
	for _, want := range r.in.Manifest.Tables {
		if !slices.Contains(got, want) {
			return fmt.Errorf("table %s does not have the %s of the manifest", want.Name, english.Plural(want.Rows, "row", ""))
		}
	}
	return nil
}

// checkKeys returns an error unless the keys decrypt the secrets or WithoutKey is set.
func (r *restorer) checkKeys(ctx context.Context, db *storage.DB) error {
	if r.WithoutKey || r.in.Manifest.Secrets == 0 {
		return nil
	}
	keyring, err := secrets.New(r.keys...)
	if err != nil {
		return err
	}
	bad, err := secrets.FindUndecryptable(ctx, db, keyring)
	if err == nil && len(bad.Names) > 0 {
		return fmt.Errorf("the key %s cannot decrypt %s: %s. The key with the id %s encrypted them: restore with that key "+
			"(--without-key restores everything else; then the secrets must be set again)", keyring.Current(),
			english.Plural(len(bad.Names), "secret", ""), strings.Join(bad.Names, ", "), strings.Join(bad.KeyIDs(), ", "))
	}
	return err
}
