package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// dataDir is the server's folder, held by one server at a time.
type dataDir struct {
	path string
	lock *os.File
}

// openDataDir is lockDataDir of a folder that is whole.
func openDataDir(path string) (*dataDir, error) {
	d, err := lockDataDir(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(d.file(restoring)); err == nil {
		return nil, errors.Join(fmt.Errorf("a restore into the data dir %s was cut off: run agentarea restore again, or empty the folder", d.path), d.Close())
	}
	if err := os.RemoveAll(d.file(restored)); err != nil { // of a restore that was killed as it ended
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// lockDataDir makes the folder if it is not there and takes its lock, which the
// system gives back however the process ends.
func lockDataDir(path string) (*dataDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data dir: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data dir: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data dir: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("another server uses the data dir %s: stop it, or give this one a --data-dir of its own", path)
	}
	return &dataDir{path: path, lock: lock}, nil
}

func (d *dataDir) Close() error { return d.lock.Close() }

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

// keep reads a small file, or makes it, safe on the medium, if it is not there.
func (d *dataDir) keep(name string, generate func() string) (string, error) {
	data, err := os.ReadFile(d.file(name))
	if err == nil {
		return strings.TrimSpace(string(data)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	text := generate()
	return text, d.replace(name, text)
}

// replace writes a small file so that it is there whole or not at all.
func (d *dataDir) replace(name, text string) error {
	temp, err := os.CreateTemp(d.path, name+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.WriteString(text + "\n")
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", d.file(name), err)
	}
	if err := os.Rename(temp.Name(), d.file(name)); err != nil {
		return err
	}
	return syncDir(d.path)
}

// tidy removes what a replace has left that was killed.
func (d *dataDir) tidy(name string) error {
	left, err := filepath.Glob(filepath.Join(d.path, name+".*"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
