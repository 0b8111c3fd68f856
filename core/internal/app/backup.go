package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/archive"
	"github.com/agentarea/agentarea/storage"
)

// backupCommand is agentarea backup.
type backupCommand struct {
	File string `arg:"" help:"The archive to write: a tar that is not there yet." placeholder:"FILE"`
	database
	IncludeKey  bool `help:"Put the secret keys into the archive, too: whoever has it can then read all that is encrypted."`
	SkipMissing bool `help:"Go on where the bytes of a file are not there or are other ones, and note it in the archive."`
}

func (c *backupCommand) run(ctx context.Context, stdout io.Writer) error {
	if _, err := os.Stat(c.DataDir); err != nil {
		return fmt.Errorf("the data dir: %w (name the server's with --data-dir)", err)
	}
	return withDatabase(ctx, c.url(), storage.Options{Existing: true}, func(db *storage.DB) error {
		out, err := archive.Create(c.File)
		if err != nil {
			return err
		}
		defer out.Abort()
		b := &backup{command: c, db: db, out: out, kept: map[string]*kept{}}
		m, err := b.write(ctx)
		if err != nil {
			return err
		}
		b.tell(stdout, m)
		return nil
	})
}

// backup is one that is being made.
type backup struct {
	command *backupCommand
	db      *storage.DB
	out     *archive.Writer
	// kept are the bytes that are in the archive, by their entry's name.
	kept map[string]*kept
	// needed are the names of those that the last copy of the database has files of.
	needed map[string]bool
}

// kept is an entry that has the bytes of a file.
type kept struct {
	blob core.Blob
	// sum is that of the bytes that are there, whatever they should be.
	sum string
}

// maxSnapshots is how often the database is copied because files went away meanwhile.
const maxSnapshots = 10

// write makes the archive of a server that runs. The database comes first, then the
// bytes of its files. An upload writes its bytes before its row, so whatever row the
// copy has, its bytes were there by then. A delete removes the row before the
// bytes, and so does a move: bytes that are gone when their turn comes are of a row
// that is gone, too, or has other bytes. So then the database is copied again. What
// is still missing is missing on the server, for a row that was there after its
// bytes were not has none.
func (b *backup) write(ctx context.Context) (*archive.Manifest, error) {
	var before []string
	for range maxSnapshots {
		dir, err := os.MkdirTemp(filepath.Dir(b.command.File), ".agentarea-backup-")
		if err != nil {
			return nil, err
		}
		m, missing, err := b.tryWrite(ctx, filepath.Join(dir, archive.Database), before)
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
			return nil, err
		}
		if m != nil {
			return m, nil
		}
		before = missing
	}
	return nil, errors.New("files are deleted faster than they can be read: try again when less is going on")
}

// tryWrite copies the database and adds the bytes that are not yet there. It gives no
// manifest, and the files that lack theirs, when it is to be tried again. before
// are those that lacked theirs the last time.
func (b *backup) tryWrite(ctx context.Context, copied string, before []string) (*archive.Manifest, []string, error) {
	if err := b.db.Snapshot(ctx, copied); err != nil {
		return nil, nil, err
	}
	var m *archive.Manifest
	var missing []string
	err := withDatabase(ctx, "sqlite://"+copied, storage.Options{Existing: true}, func(still *storage.DB) (err error) {
		files, err := filesOf(ctx, still)
		if err != nil {
			return err
		}
		if err := b.addBytes(ctx, files); err != nil {
			return err
		}
		m, missing, err = b.manifest(ctx, still, files)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if gone := slices.ContainsFunc(missing, func(id string) bool { return !slices.Contains(before, id) }); gone {
		return nil, missing, nil
	}
	if m.Missing = missing; len(missing) > 0 && !b.command.SkipMissing {
		return nil, nil, fmt.Errorf("the bytes of %s are not there, or are not what was uploaded: %s (delete them, or back up without them: --skip-missing)",
			english.Plural(len(missing), "file", ""), strings.Join(missing, ", "))
	}
	if _, err := b.out.AddFile(archive.Database, copied); err != nil {
		return nil, nil, err
	}
	if err := b.addRest(m); err != nil {
		return nil, nil, err
	}
	return m, nil, b.out.Finish(m, func(e archive.Entry) bool { return b.kept[e.Name] != nil && !b.needed[e.Name] })
}

// blobName is what a blob's key ends in, and what stands in the name of the file on
// the disk that has its bytes.
var blobName = regexp.MustCompile(`blob-[0-9a-z]+`)

// filesOf are the files of a database, by backend and by the name of their blob.
func filesOf(ctx context.Context, db *storage.DB) (map[string]map[string]*core.File, error) {
	files := map[string]map[string]*core.File{}
	return files, db.EachFile(ctx, func(f *core.File) error {
		if files[f.Blob.Backend] == nil {
			files[f.Blob.Backend] = map[string]*core.File{}
		}
		files[f.Blob.Backend][path.Base(f.Blob.Key)] = f
		return nil
	})
}

// folderOf is where a plugin keeps what it keeps in the data folder.
func (b *backup) folderOf(plugin string) string {
	return filepath.Join(b.command.DataDir, archive.Plugins, plugin)
}

// addBytes adds those of the files, of the backends that keep them in the data folder.
func (b *backup) addBytes(ctx context.Context, files map[string]map[string]*core.File) error {
	for backend, of := range files {
		err := b.walk(ctx, "files-"+backend, func(name, at string) error {
			f := of[blobName.FindString(path.Base(name))]
			if f == nil || b.kept[name] != nil {
				return nil
			}
			e, err := b.out.AddFile(name, at)
			if err == nil {
				b.kept[name] = &kept{blob: f.Blob, sum: e.SHA256}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// walk calls do for each file that a plugin keeps in the data folder, with its name
// in the archive. One that goes away meanwhile is none.
func (b *backup) walk(ctx context.Context, plugin string, do func(name, at string) error) error {
	root, err := filepath.EvalSymlinks(b.folderOf(plugin))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && d.Type().IsRegular() {
			var rest string
			if rest, err = filepath.Rel(root, at); err == nil {
				err = do(path.Join(archive.Plugins, plugin, filepath.ToSlash(rest)), at)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// addRest adds what other plugins keep, and the keys if they are wanted.
func (b *backup) addRest(m *archive.Manifest) error {
	plugins, err := os.ReadDir(filepath.Join(b.command.DataDir, archive.Plugins))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, p := range plugins {
		if strings.HasPrefix(p.Name(), "files-") {
			continue
		}
		err := b.walk(context.Background(), p.Name(), func(name, at string) error {
			_, err := b.out.AddFile(name, at)
			return err
		})
		if err != nil {
			return err
		}
	}
	if !b.command.IncludeKey {
		return nil
	}
	source, err := findKeys(b.command.DataDir, os.Getenv)
	if err != nil {
		return err
	}
	text := keyLines(source.keys) + "\n"
	_, err = b.out.Add(archive.Key, int64(len(text)), strings.NewReader(text))
	m.KeyIncluded = err == nil
	return err
}

// manifest says what there is, and which files lack their bytes.
func (b *backup) manifest(ctx context.Context, still *storage.DB, files map[string]map[string]*core.File) (*archive.Manifest, []string, error) {
	m := &archive.Manifest{AgentArea: Version, From: "sqlite", Elsewhere: []archive.Files{}, Missing: []string{}}
	if strings.HasPrefix(b.command.url(), "postgres") {
		m.From = "postgres"
	}
	s, err := still.Schema(ctx)
	if err != nil {
		return nil, nil, err
	}
	m.Schema = s.Version
	if m.Tables, err = tablesOf(ctx, still); err != nil {
		return nil, nil, err
	}
	if err := eachEncryptedSecret(ctx, still, func(v []core.EncryptedSecret) error { m.Secrets += len(v); return nil }); err != nil {
		return nil, nil, err
	}
	b.needed = map[string]bool{}
	there := map[core.Blob]string{}
	for name, k := range b.kept {
		there[k.blob] = name
	}
	var missing []string
	for backend, of := range files {
		elsewhere := archive.Files{Backend: backend}
		out := b.empty(ctx, backend)
		for _, f := range of {
			name := there[f.Blob]
			switch {
			case name != "" && b.kept[name].sum == f.SHA256:
				b.needed[name] = true
				m.Files.Count++
				m.Files.Bytes += f.Size
			case out:
				elsewhere.Count++
				elsewhere.Bytes += f.Size
			default:
				missing = append(missing, f.ID)
			}
		}
		if elsewhere.Count > 0 {
			m.Elsewhere = append(m.Elsewhere, elsewhere)
		}
	}
	slices.Sort(missing)
	slices.SortFunc(m.Elsewhere, func(a, b archive.Files) int { return strings.Compare(a.Backend, b.Backend) })
	return m, missing, nil
}

// empty says that a backend keeps nothing in the data folder.
func (b *backup) empty(ctx context.Context, backend string) bool {
	errSome := errors.New("some")
	return b.walk(ctx, "files-"+backend, func(string, string) error { return errSome }) == nil
}

func tablesOf(ctx context.Context, db *storage.DB) ([]archive.Table, error) {
	sums, err := db.Sums(ctx)
	tables := make([]archive.Table, len(sums))
	for i, s := range sums {
		tables[i] = archive.Table{Name: s.Name, Rows: s.Rows, Sum: s.Sum}
	}
	return tables, err
}

// tell says what is in the archive, and what is not.
func (b *backup) tell(w io.Writer, m *archive.Manifest) {
	size := ""
	if info, err := os.Stat(b.command.File); err == nil {
		size = " (" + humanize.Bytes(uint64(max(info.Size(), 0))) + ")"
	}
	_, _ = fmt.Fprintf(w, "%s%s: %s, %s\n", b.command.File, size, english.Plural(rowsOf(m), "row", ""), counted(m.Files))
	if len(m.Missing) > 0 {
		_, _ = fmt.Fprintf(w, "MISSING: the bytes of %s: %s\n", english.Plural(len(m.Missing), "file", ""), strings.Join(m.Missing, ", "))
	}
	for _, f := range m.Elsewhere {
		_, _ = fmt.Fprintf(w, "NOT IN IT: %s of the backend %q, which keeps them outside of the data folder: back them up there\n", counted(f), f.Backend)
	}
	if m.KeyIncluded {
		_, _ = fmt.Fprintln(w, "The secret keys are in it: keep it as you keep them.")
		return
	}
	source := "AGENTAREA_SECRET_KEY"
	if s, err := findKeys(b.command.DataDir, os.Getenv); err == nil {
		source = s.name
	}
	_, _ = fmt.Fprintf(w, "NOT IN IT: the secret key (%s). Keep it apart: without it %s can't be opened and everybody signs in anew. --include-key puts it in.\n",
		source, english.Plural(m.Secrets, "secret", ""))
}

func counted(f archive.Files) string {
	return fmt.Sprintf("%s (%s)", english.Plural(f.Count, "file", ""), humanize.Bytes(uint64(max(f.Bytes, 0))))
}

func rowsOf(m *archive.Manifest) int {
	n := 0
	for _, t := range m.Tables {
		n += t.Rows
	}
	return n
}
