// Package datadir manages the server's data directory: its lock, its small files and the file with
// the secret keys.
package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/agentarea/agentarea/storage/fileowner"
)

// Names in a data directory that a restore uses.
const (
	// Restoring is the folder in which a restore prepares everything. While it exists the data
	// directory is incomplete: no server starts on it, and the next restore starts over.
	Restoring = "restoring"
	// Restored is the name to which a restore renames that folder when it has finished, just before
	// it removes the folder.
	Restored = "restored"
)

// DatabaseFile is the name of the SQLite database in a data directory.
const DatabaseFile = "agentarea.db"

// Dir is a locked data directory. One process at a time can hold the lock.
type Dir struct {
	path string
	lock *os.File
}

// DatabaseURL returns url, or the URL of the SQLite database in the data directory dir if url is
// empty.
func DatabaseURL(url, dir string) string {
	if url != "" {
		return url
	}
	return "sqlite://" + filepath.Join(dir, DatabaseFile)
}

// Open locks the data directory at path, and creates it if it does not exist. It returns an error if
// a restore into it was interrupted.
func Open(path string) (*Dir, error) {
	d, err := Lock(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(d.File(Restoring)); err == nil {
		return nil, errors.Join(
			fmt.Errorf("a restore into the data dir %s was interrupted: run agentarea restore again, or empty the folder",
				d.path), d.Close(),
		)
	}
	// A restore that was killed in its last step leaves this folder.
	if err := os.RemoveAll(d.File(Restored)); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Lock locks the data directory at path without looking at its content, and creates it if it does not
// exist. The operating system releases the lock when the process ends, however it ends.
func Lock(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data dir: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data dir: %w", err)
	}
	lock, other, err := lockFile(filepath.Join(path, "lock"), owner(path))
	if err != nil {
		return nil, fmt.Errorf("data dir: %w", err)
	}
	if lock == nil {
		return nil, fmt.Errorf("another server uses the data dir %s (%s): stop it, or choose another folder with --data-dir",
			path, other)
	}
	return &Dir{path: path, lock: lock}, nil
}

// Close releases the lock.
func (d *Dir) Close() error { return d.lock.Close() }

// Path returns the absolute path of the directory.
func (d *Dir) Path() string { return d.path }

// File returns the path of the file called name in the directory.
func (d *Dir) File(name string) string { return filepath.Join(d.path, name) }

// ReadOrCreate returns the trimmed text of the small file called name. If there is no such file, it
// creates the file with the text that generate returns, as Replace does.
func (d *Dir) ReadOrCreate(name string, generate func() string) (string, error) {
	data, err := os.ReadFile(d.File(name))
	if err == nil {
		return strings.TrimSpace(string(data)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	text := generate()
	return text, d.Replace(name, text)
}

// Replace writes text and a newline to the small file called name, atomically: after a crash the file
// has either its old or its new content. The file belongs to the owner of the directory. When Replace returns, the
// content is synced to disk.
func (d *Dir) Replace(name, text string) error {
	temp, err := os.CreateTemp(d.path, name+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	err = fileowner.Inherit(temp)
	if err == nil {
		_, err = temp.WriteString(text + "\n")
	}
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", d.File(name), err)
	}
	if err := os.Rename(temp.Name(), d.File(name)); err != nil {
		return err
	}
	return SyncDir(d.path)
}

// RemoveTemporary removes the temporary files of a Replace of name that was killed.
func (d *Dir) RemoveTemporary(name string) error {
	left, err := filepath.Glob(filepath.Join(d.path, name+".*"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// SyncDir syncs the entries of the folder at path to disk.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
