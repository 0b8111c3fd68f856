package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/agentarea/agentarea/storage/fileowner"
)

// Writer writes an archive. The archive appears under its name only when Finish has returned.
type Writer struct {
	path    string
	file    *os.File
	sum     hash.Hash
	tar     *tar.Writer
	entries []Entry
	now     time.Time
	// owned are files that were added, at least one of each owner. The snapshot of the database is not among them.
	owned []fs.FileInfo
}

// Create starts an archive that only its owner can read. It returns an error if path exists.
func Create(path string) (*Writer, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("%s already exists: choose another name or remove the file", path)
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part") // mode 0600
	if err != nil {
		return nil, err
	}
	w := &Writer{path: path, file: file, sum: sha256.New(), now: time.Now().UTC().Truncate(time.Second)}
	w.tar = tar.NewWriter(io.MultiWriter(file, w.sum))
	return w, nil
}

// InheritOwner gives the archive the owner of its folder. It does nothing if a file that was added belongs to another
// user: through a link, the owner of the folder could read it in the archive.
func (w *Writer) InheritOwner() error {
	folder, err := os.Stat(filepath.Dir(w.file.Name()))
	if err != nil {
		return err
	}
	for _, info := range w.owned {
		if !fileowner.Same(folder, info) {
			return nil
		}
	}
	return fileowner.Copy(folder, w.file)
}

// Abort removes the incomplete archive. After Finish it does nothing.
func (w *Writer) Abort() {
	_ = w.file.Close()
	_ = os.Remove(w.file.Name())
}

// AddFile adds the file at path as name and returns its entry.
func (w *Writer) AddFile(name, path string) (Entry, error) {
	file, err := os.Open(path)
	if err != nil {
		return Entry{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return Entry{}, err
	}
	if n := len(w.owned); name != Database && (n == 0 || !fileowner.Same(w.owned[n-1], info)) {
		w.owned = append(w.owned, info)
	}
	return w.Add(name, info.Size(), file)
}

// Add adds the first size bytes of r as name and returns the entry. It returns an error if r is shorter.
func (w *Writer) Add(name string, size int64, r io.Reader) (Entry, error) {
	e, err := w.add(name, size, r)
	if err == nil {
		w.entries = append(w.entries, e)
	}
	return e, err
}

func (w *Writer) add(name string, size int64, r io.Reader) (Entry, error) {
	head := &tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: w.now}
	if err := w.tar.WriteHeader(head); err != nil {
		return Entry{}, fmt.Errorf("write %s: %w", name, err)
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w.tar, sum), io.LimitReader(r, size))
	if err == nil && n < size {
		err = errors.New("the file was truncated while it was read: try again")
	}
	if err != nil {
		return Entry{}, fmt.Errorf("write %s: %w", name, err)
	}
	return Entry{Name: name, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// Finish writes the manifest m with the entries that were added, syncs the archive to disk and renames it
// to its final name. unused reports whether the database does not refer to an entry.
func (w *Writer) Finish(m *Manifest, unused func(Entry) bool) error {
	m.Format, m.CreatedAt = Format, w.now
	m.Entries = w.entries
	for i, e := range m.Entries {
		m.Entries[i].Unused = unused(e)
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if _, err := w.add(manifestName, int64(len(text)), bytes.NewReader(text)); err != nil {
		return err
	}
	if err := w.tar.Flush(); err != nil {
		return err
	}
	end, err := tail(w.sum.Sum(nil))
	if err != nil {
		return err
	}
	_, err = w.file.Write(end)
	if err := errors.Join(err, w.file.Sync(), w.file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", w.path, err)
	}
	// A rename would replace a file that someone has created under this name meanwhile; a link does not.
	if err := os.Link(w.file.Name(), w.path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return err
		}
		return os.Rename(w.file.Name(), w.path) // the file system does not support links
	}
	return os.Remove(w.file.Name())
}
