package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Reader reads an archive whose checksum has been verified.
type Reader struct {
	Manifest *Manifest
	// Sum is the SHA-256 of the archive in hex.
	Sum  string
	path string
	file *os.File
	// size is the number of bytes before the last entry.
	size int64
}

// maxManifest is the maximum size of the manifest in bytes, enough for some millions of files.
const maxManifest = 1 << 30

// Open opens the archive at path and reads it once to verify its checksum. It returns an error if any
// byte has changed or is missing.
func Open(path string) (*Reader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &Reader{path: path, file: file}
	if err := r.verify(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
	}
	return r, nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.file.Close() }

func (r *Reader) verify() error {
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	r.size = info.Size() - tailSize
	if r.size < tailSize || !r.hasTail() {
		return errors.New("the file is not an AgentArea backup or is truncated: check that it was copied completely")
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, r.section()); err != nil {
		return err
	}
	want, err := tail(sum.Sum(nil))
	if err != nil {
		return err
	}
	got := make([]byte, tailSize)
	if _, err := r.file.ReadAt(got, r.size); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New("the file is damaged: its checksum does not match its content")
	}
	r.Sum = hex.EncodeToString(sum.Sum(nil))
	return r.readManifest()
}

// hasTail reports whether the file ends with an entry called sha256.
func (r *Reader) hasTail() bool {
	head, err := tar.NewReader(io.NewSectionReader(r.file, r.size, tailSize)).Next()
	return err == nil && head.Name == sumName
}

// section returns the archive without its last entry.
func (r *Reader) section() *io.SectionReader { return io.NewSectionReader(r.file, 0, r.size) }

func (r *Reader) readManifest() error {
	err := r.each(func(head *tar.Header, in io.Reader) error {
		if head.Name != manifestName {
			return nil
		}
		if head.Size > maxManifest {
			return errors.New("the manifest is too long")
		}
		r.Manifest = &Manifest{}
		return json.NewDecoder(in).Decode(r.Manifest)
	})
	switch {
	case err != nil:
		return err
	case r.Manifest == nil:
		return errors.New("the archive has no manifest")
	case r.Manifest.Format > Format:
		return fmt.Errorf("the archive has format %d, but this version of agentarea supports formats up to %d: use a "+
			"newer version", r.Manifest.Format, Format)
	}
	for _, e := range r.Manifest.Entries {
		if !filepath.IsLocal(e.Name) || strings.Contains(e.Name, "\\") || filepath.Clean(e.Name) != e.Name {
			return fmt.Errorf("the manifest names a file outside the archive: %q", e.Name)
		}
	}
	return nil
}

// each calls do with every entry before the last one.
func (r *Reader) each(do func(*tar.Header, io.Reader) error) error {
	t := tar.NewReader(r.section())
	for {
		head, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := do(head, t); err != nil {
			return err
		}
	}
}

// Extract writes the entries for which include returns true to the folder dir, which need not exist. It
// syncs each file to disk and returns an error if one does not match the manifest.
func (r *Reader) Extract(dir string, include func(Entry) bool) error {
	entries := map[string]Entry{}
	for _, e := range r.Manifest.Entries {
		if include(e) {
			entries[e.Name] = e
		}
	}
	err := r.each(func(head *tar.Header, in io.Reader) error {
		e, ok := entries[head.Name]
		if !ok {
			return nil
		}
		delete(entries, head.Name)
		return extract(filepath.Join(dir, filepath.FromSlash(e.Name)), e, in)
	})
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s does not have %d of the files in its manifest", r.path, len(entries))
	}
	return err
}

func extract(path string, e Entry, in io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(file, sum), in)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("restore %s: %w", e.Name, err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != e.SHA256 {
		return fmt.Errorf("restore %s: the content does not match the checksum in the manifest", e.Name)
	}
	return nil
}
