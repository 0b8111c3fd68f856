package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/archive"
	"github.com/agentarea/agentarea/core/internal/secrets"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/storage/migrations"
)

// restoreCommand is agentarea restore.
type restoreCommand struct {
	File string `arg:"" help:"An archive that agentarea backup wrote." placeholder:"FILE"`
	database
	KeyFile    string `help:"A file of the secret keys that the server had, one a line; it becomes secret.key of the data dir." placeholder:"FILE"`
	WithoutKey bool   `help:"Restore without the key of the encrypted secrets: they have to be given anew."`
	DryRun     bool   `help:"Verify the archive and the target, and change nothing."`
}

// restoring is the folder of a data dir in which a restore prepares everything. As
// long as it is there, nothing of the data dir is good: no server starts on it, and
// the next restore begins anew.
const restoring = "restoring"

// restored is what that folder is called, at once and for a moment, when all is done.
const restored = "restored"

// prepared is the file in it that names the archive, once all is ready but the
// database.
const prepared = "prepared"

func (c *restoreCommand) run(ctx context.Context, stdout io.Writer) (err error) {
	in, err := archive.Open(c.File)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read
	if known := len(migrations.All()); in.Manifest.Schema > known {
		return fmt.Errorf("%s has schema %d and this agentarea knows %d at most: restore it with the newer agentarea that wrote it (%s)",
			c.File, in.Manifest.Schema, known, in.Manifest.AgentArea)
	}
	r := &restore{command: c, in: in}
	if err := r.findKeys(); err != nil {
		return err
	}
	if c.DryRun {
		if err := errors.Join(mustBeEmpty(c.DataDir), r.databaseMustBeEmpty(ctx)); err != nil {
			return err
		}
		_, err := fmt.Fprintf(stdout, "%s is whole: %s, %s, from agentarea %s of %s\n", c.File,
			english.Plural(rowsOf(in.Manifest), "row", ""), counted(in.Manifest.Files), in.Manifest.AgentArea, in.Manifest.CreatedAt)
		return err
	}
	if err := r.into(ctx); err != nil {
		return fmt.Errorf("nothing was restored: %w", err)
	}
	r.tell(stdout)
	return nil
}

// restore is one that is under way.
type restore struct {
	command *restoreCommand
	in      *archive.Reader
	// keys open the secrets; keyText is what becomes secret.key, empty for no file.
	keys    [][]byte
	keyText string
	data    *dataDir
	// stage is the folder of the data dir that everything is prepared in.
	stage string
	// unclear says that PostgreSQL may have committed: the next restore finds out.
	unclear bool
}

// findKeys finds the keys: those of the archive, of --key-file, or of the environment.
func (r *restore) findKeys() error {
	c := r.command
	switch {
	case c.KeyFile != "":
		keys, err := readKeys(c.KeyFile)
		if err != nil {
			return fmt.Errorf("--key-file: %w", err)
		}
		r.keys, r.keyText = keys, keyLines(keys)
	case os.Getenv("AGENTAREA_SECRET_KEY") != "":
		source, err := findKeys(c.DataDir, os.Getenv)
		if err != nil {
			return err
		}
		r.keys = source.keys
	}
	if len(r.keys) > 0 || r.in.Manifest.KeyIncluded || r.in.Manifest.Secrets == 0 || c.WithoutKey {
		return nil
	}
	return fmt.Errorf("%s has %s and not the key: name a copy of the server's secret.key with --key-file, or set AGENTAREA_SECRET_KEY to what it was "+
		"(--without-key restores the rest: then the secrets have to be given anew)", c.File, english.Plural(r.in.Manifest.Secrets, "encrypted secret", ""))
}

// into restores into the data dir, which is locked, and the database.
func (r *restore) into(ctx context.Context) (err error) {
	if err := mustBeEmpty(r.command.DataDir); err != nil {
		return err
	}
	fresh := false
	if _, err := os.Stat(r.command.DataDir); errors.Is(err, fs.ErrNotExist) {
		fresh = true
	}
	if r.data, err = lockDataDir(r.command.DataDir); err != nil {
		return err
	}
	defer r.data.Close() //nolint:errcheck // this lets go of the lock
	// Again, for a server may have come and gone.
	if err := mustBeEmpty(r.data.path); err != nil {
		return err
	}
	r.stage = r.data.file(restoring)
	cut := r.cutEarlier()
	if done, err := r.finishCut(ctx, cut); done || err != nil {
		return err
	}
	defer func() {
		if err != nil && !r.unclear {
			err = errors.Join(err, r.clear(), r.forget(fresh))
		}
	}()
	if err := r.clear(); err != nil {
		return err
	}
	if err := r.databaseMustBeEmpty(ctx); err != nil {
		return err
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if err := r.commit(ctx); err != nil {
		return err
	}
	return r.end()
}

// mustBeEmpty fails when a data dir has something, but for what a restore that was
// cut has left.
func mustBeEmpty(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == restoring }) {
		return nil
	}
	for _, e := range entries {
		if e.Name() != "lock" && e.Name() != "lost+found" {
			return fmt.Errorf("the data dir %s is not empty: it has %s (restore into a new one)", path, e.Name())
		}
	}
	return nil
}

// databaseMustBeEmpty fails when the database has something.
func (r *restore) databaseMustBeEmpty(ctx context.Context) error {
	if target := r.sqliteTarget(); target != "" {
		for _, name := range []string{target, target + "-wal"} {
			if _, err := os.Lstat(name); err == nil {
				return fmt.Errorf("there is a database %s already: restore into a new one", name)
			}
		}
		return nil
	}
	return withDatabase(ctx, r.command.url(), storage.Options{}, func(db *storage.DB) error { return db.MustBeEmpty(ctx) })
}

// cutEarlier is the sum of the archive of a restore that was cut when all but its
// end was done; else empty.
func (r *restore) cutEarlier() string {
	sum, err := os.ReadFile(filepath.Join(r.stage, prepared))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(sum))
}

// clear removes what a restore has made. The data dir was empty before: the stage
// says so, and goes last.
func (r *restore) clear() error {
	if _, err := os.Lstat(r.stage); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var errs []error
	for _, name := range []string{filepath.Join(restoring, prepared), archive.Plugins, keyFile, "agentarea.db", restoring} {
		errs = append(errs, os.RemoveAll(r.data.file(name)))
	}
	return errors.Join(errs...)
}

// forget removes a data dir that was not there before.
func (r *restore) forget(fresh bool) error {
	if !fresh {
		return nil
	}
	return errors.Join(os.Remove(r.data.file("lock")), os.Remove(r.data.path))
}

// prepare makes everything in the stage: what it holds then is what is restored.
func (r *restore) prepare(ctx context.Context) error {
	if err := os.Mkdir(r.stage, 0o700); err != nil {
		return err
	}
	if err := syncDir(r.data.path); err != nil {
		return err
	}
	if err := r.in.Extract(r.stage, func(e archive.Entry) bool { return !e.Unused }); err != nil {
		return err
	}
	if r.keyText != "" {
		if err := os.WriteFile(filepath.Join(r.stage, keyFile), []byte(r.keyText+"\n"), 0o600); err != nil {
			return err
		}
	} else if r.in.Manifest.KeyIncluded && len(r.keys) == 0 {
		keys, err := readKeys(filepath.Join(r.stage, archive.Key))
		if err != nil {
			return err
		}
		r.keys = keys
	}
	err := withDatabase(ctx, "sqlite://"+r.staged(), storage.Options{Existing: true}, func(db *storage.DB) error {
		if err := r.same(ctx, db); err != nil {
			return err
		}
		if err := r.opens(ctx, db); err != nil {
			return err
		}
		return db.Migrate(ctx)
	})
	if err != nil {
		return err
	}
	return syncTree(r.stage)
}

// staged is the database in the stage.
func (r *restore) staged() string { return filepath.Join(r.stage, archive.Database) }

// same fails unless a database has the rows of the manifest.
func (r *restore) same(ctx context.Context, db *storage.DB) error {
	got, err := tablesOf(ctx, db)
	if err != nil {
		return err
	}
	for _, want := range r.in.Manifest.Tables {
		if !slices.Contains(got, want) {
			return fmt.Errorf("table %s has not the %s that were backed up", want.Name, english.Plural(want.Rows, "row", ""))
		}
	}
	return nil
}

// opens fails unless the keys open the secrets, or may be missing.
func (r *restore) opens(ctx context.Context, db *storage.DB) error {
	if r.command.WithoutKey || r.in.Manifest.Secrets == 0 {
		return nil
	}
	keyring, err := secrets.New(r.keys...)
	if err != nil {
		return err
	}
	var closed unopened
	err = eachEncryptedSecret(ctx, db, func(values []core.EncryptedSecret) error {
		for _, v := range values {
			if _, err := keyring.Decrypt(v.ID, v.Bytes); err != nil {
				closed.add(v)
			}
		}
		return nil
	})
	if err == nil && len(closed.names) > 0 {
		return fmt.Errorf("the key does not open %s: %s: they were sealed with the key of id %s, and this one's is %s "+
			"(--without-key restores the rest: then the secrets have to be given anew)", english.Plural(len(closed.names), "secret", ""),
			strings.Join(closed.names, ", "), strings.Join(closed.keyIDs(), ", "), keyring.Current())
	}
	return err
}

// sqliteTarget is the file of the database to be; empty for PostgreSQL.
func (r *restore) sqliteTarget() string {
	url := r.command.url()
	if !strings.HasPrefix(url, "sqlite:") {
		return ""
	}
	return strings.TrimPrefix(strings.TrimPrefix(url, "sqlite:"), "//")
}

// commit puts what is prepared in its place, the database last.
func (r *restore) commit(ctx context.Context) error {
	for _, name := range []string{archive.Plugins, keyFile} {
		err := os.Rename(filepath.Join(r.stage, name), r.data.file(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(r.stage, prepared), []byte(r.in.Sum), 0o600); err != nil {
		return err
	}
	if err := errors.Join(syncDir(r.stage), syncDir(r.data.path)); err != nil {
		return err
	}
	if target := r.sqliteTarget(); target != "" {
		return moveFile(r.staged(), target)
	}
	err := withDatabase(ctx, "sqlite://"+r.staged(), storage.Options{Existing: true}, func(from *storage.DB) error {
		return withDatabase(ctx, r.command.url(), storage.Options{}, func(to *storage.DB) error {
			if err := to.Migrate(ctx); err != nil {
				return err
			}
			return storage.Copy(ctx, from, to, func(storage.CopiedTable) {})
		})
	})
	if err == nil {
		return nil
	}
	// The answer to a commit may be lost.
	there, lookErr := r.there(ctx)
	if there {
		return nil
	}
	r.unclear = lookErr != nil
	return err
}

// finishCut ends a restore of this archive that was killed between the database's
// commit and its own end. done says that there was one.
func (r *restore) finishCut(ctx context.Context, cut string) (done bool, err error) {
	if cut != r.in.Sum {
		return false, nil
	}
	there, err := r.there(ctx)
	if err != nil || !there {
		return false, err
	}
	return true, r.end()
}

// there says whether the database has what was prepared.
func (r *restore) there(ctx context.Context) (there bool, err error) {
	if target := r.sqliteTarget(); target != "" {
		_, err := os.Lstat(target)
		return err == nil, nil // it comes to be there whole
	}
	err = withDatabase(ctx, "sqlite://"+r.staged(), storage.Options{Existing: true}, func(from *storage.DB) error {
		return withDatabase(ctx, r.command.url(), storage.Options{}, func(to *storage.DB) error {
			if s, err := to.Schema(ctx); err != nil || s.Version != s.Known {
				return err
			}
			want, err := tablesOf(ctx, from)
			if err != nil {
				return err
			}
			got, err := tablesOf(ctx, to)
			there = slices.Equal(got, want)
			return err
		})
	})
	return there, err
}

// end takes the mark away: from here on it is a data dir.
func (r *restore) end() error {
	if err := os.Rename(r.stage, r.data.file(restored)); err != nil {
		return err
	}
	if err := syncDir(r.data.path); err != nil {
		return err
	}
	return os.RemoveAll(r.data.file(restored))
}

// moveFile renames a file, or copies it to another file system, where it is whole
// under its name or not there.
func moveFile(from, to string) error {
	if err := os.Rename(from, to); err == nil {
		return syncDir(filepath.Dir(to))
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(out.Name()) }()
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(out.Name(), to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

// syncTree makes the folders of a tree safe on the medium; the files are already.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = syncDir(path)
		}
		return err
	})
}

// tell says what is there now, and what is not.
func (r *restore) tell(w io.Writer) {
	m := r.in.Manifest
	_, _ = fmt.Fprintf(w, "restored: %s, %s, as they were on %s\n", english.Plural(rowsOf(m), "row", ""), counted(m.Files), m.CreatedAt)
	for _, f := range m.Elsewhere {
		_, _ = fmt.Fprintf(w, "NOT IN IT: %s of the backend %q: plugins.hcl must name where they are\n", counted(f), f.Backend)
	}
	if len(m.Missing) > 0 {
		_, _ = fmt.Fprintf(w, "MISSING: the bytes of %s: %s\n", english.Plural(len(m.Missing), "file", ""), strings.Join(m.Missing, ", "))
	}
	switch {
	case r.keyText != "" || m.KeyIncluded:
		_, _ = fmt.Fprintln(w, "The secret key is in the data dir.")
	case len(r.keys) > 0:
		_, _ = fmt.Fprintln(w, "Start the server with the same AGENTAREA_SECRET_KEY.")
	default:
		_, _ = fmt.Fprintln(w, "NOT IN IT: the secret key. Everybody signs in anew.")
	}
}
