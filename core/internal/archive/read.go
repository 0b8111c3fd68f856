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

// Reader is a whole archive.
type Reader struct {
	Manifest *Manifest
	// Sum is that of the archive, in hex.
	Sum  string
	path string
	file *os.File
	// size is what the last entry sums up.
	size int64
}

// maxManifest bounds the manifest, in bytes: some millions of files.
const maxManifest = 1 << 30

// Open reads an archive through and fails unless every byte of it is as it was
// written.
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
	if r.size < tailSize || !r.endsLikeOne() {
		return errors.New("it is no backup of AgentArea, or its end is missing: was it copied whole?")
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
		return errors.New("it has changed since it was written: its checksum is another one")
	}
	r.Sum = hex.EncodeToString(sum.Sum(nil))
	return r.readManifest()
}

// endsLikeOne says whether there is something like the last entry.
func (r *Reader) endsLikeOne() bool {
	head, err := tar.NewReader(io.NewSectionReader(r.file, r.size, tailSize)).Next()
	return err == nil && head.Name == sumName
}

// section is all but the last entry.
func (r *Reader) section() *io.SectionReader { return io.NewSectionReader(r.file, 0, r.size) }

func (r *Reader) readManifest() error {
	err := r.each(func(head *tar.Header, in io.Reader) error {
		if head.Name != manifestName {
			return nil
		}
		if head.Size > maxManifest {
			return errors.New("its manifest is too long")
		}
		r.Manifest = &Manifest{}
		return json.NewDecoder(in).Decode(r.Manifest)
	})
	switch {
	case err != nil:
		return err
	case r.Manifest == nil:
		return errors.New("it has no manifest")
	case r.Manifest.Format > Format:
		return fmt.Errorf("it is of format %d and this agentarea knows %d at most: use the newer agentarea that wrote it", r.Manifest.Format, Format)
	}
	for _, e := range r.Manifest.Entries {
		if !filepath.IsLocal(e.Name) || strings.Contains(e.Name, "\\") || filepath.Clean(e.Name) != e.Name {
			return fmt.Errorf("it names a file outside of itself: %q", e.Name)
		}
	}
	return nil
}

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

// Extract writes the entries that wanted asks for into a folder, each safe on the
// medium and as the manifest has it.
func (r *Reader) Extract(dir string, wanted func(Entry) bool) error {
	entries := map[string]Entry{}
	for _, e := range r.Manifest.Entries {
		if wanted(e) {
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
		err = fmt.Errorf("%s lacks %d of the files that its manifest names", r.path, len(entries))
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
		return fmt.Errorf("restore %s: it is not what the manifest says", e.Name)
	}
	return nil
}
