package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

var fileTime = time.Date(2025, 1, 2, 3, 4, 5, 678000, time.UTC)

// fileWorld is a store and an engine of files, in memory.
type fileWorld struct {
	core.FileStore // what the API does not ask for

	mu    sync.Mutex
	files map[string]*core.File
	bytes map[string][]byte
	// receive takes an upload's bytes; keep unless set.
	receive func(ctx context.Context, u *core.Upload) ([]byte, error)
	// content opens a file; its bytes unless set.
	content func(f *core.File) io.ReadSeekCloser
	opened  int
	link    string
	linkErr error
	move    func(ctx context.Context, from, to string, report func(core.MoveProgress)) error
	// races is how many changes somebody else is faster at.
	races int
}

func newFileWorld() *fileWorld {
	return &fileWorld{files: map[string]*core.File{}, bytes: map[string][]byte{}, receive: keep}
}

// keep reads an upload as an engine does whose backend wraps what it is told.
func keep(_ context.Context, u *core.Upload) ([]byte, error) {
	b, err := io.ReadAll(u.Body)
	if err != nil {
		return nil, &core.Error{Code: core.CodeUnavailable, Message: "The backend was told to stop", Err: err}
	}
	return b, nil
}

func (w *fileWorld) add(id, owner, name string, b []byte) *core.File {
	sum := sha256.Sum256(b)
	f := &core.File{
		ID: id, Name: name, Size: int64(len(b)), ContentType: http.DetectContentType(b), SHA256: hex.EncodeToString(sum[:]),
		Metadata: json.RawMessage(`{"n":12345678901234567890,"keep":"<b>"}`), Version: 1, CreatedBy: owner, CreatedAt: fileTime, UpdatedAt: fileTime,
	}
	w.files[id], w.bytes[id] = f, b
	return f
}

func (w *fileWorld) Upload(ctx context.Context, v core.Actor, u *core.Upload) (*core.File, error) {
	b, err := w.receive(ctx, u)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.add(core.NewID("file"), v.UserID, u.Name, b)
	f.Metadata = u.Metadata
	c := *f
	return &c, nil
}

func (w *fileWorld) only() *core.File {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.files {
		return f
	}
	return &core.File{}
}

func (w *fileWorld) File(_ context.Context, v core.Actor, id string) (*core.File, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.files[id]
	if f == nil || !v.Admin() && f.CreatedBy != v.UserID {
		return nil, core.NotFound("file", id)
	}
	c := *f
	return &c, nil
}

func (w *fileWorld) Files(ctx context.Context, v core.Actor, f core.FileFilter) ([]*core.File, int, error) {
	var found []*core.File
	for id := range w.files {
		got, err := w.File(ctx, v, id)
		if err == nil && strings.Contains(strings.ToLower(got.Name), strings.ToLower(f.Name)) &&
			strings.HasPrefix(got.ContentType, strings.TrimSuffix(f.ContentType, "*")) {
			found = append(found, got)
		}
	}
	slices.SortFunc(found, func(a, b *core.File) int { return strings.Compare(b.ID, a.ID) })
	return part(found, f.Page), len(found), nil
}

func (w *fileWorld) UpdateFile(ctx context.Context, v core.Actor, f *core.File) error {
	have, err := w.File(ctx, v, f.ID)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.races > 0 {
		w.races--
		w.files[f.ID].Version++
		have.Version++
	}
	if have.Version != f.Version {
		return VersionConflict("file")
	}
	c := *f
	c.Version++
	w.files[f.ID] = &c
	return nil
}

func (w *fileWorld) Delete(ctx context.Context, v core.Actor, id string, version int64) error {
	have, err := w.File(ctx, v, id)
	if err != nil {
		return err
	}
	if version != 0 && version != have.Version {
		return VersionConflict("file")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.files, id)
	return nil
}

func (w *fileWorld) Link(context.Context, *core.File) (string, error) { return w.link, w.linkErr }

func (w *fileWorld) Open(_ context.Context, f *core.File) io.ReadSeekCloser {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened++
	if w.content != nil {
		return w.content(f)
	}
	return content{bytes.NewReader(w.bytes[f.ID])}
}

func (w *fileWorld) Move(ctx context.Context, from, to string, report func(core.MoveProgress)) error {
	return w.move(ctx, from, to, report)
}

type content struct{ io.ReadSeeker }

func (content) Close() error { return nil }

// faulty gives zeros up to a place where it fails.
type faulty struct {
	size, until, at int64
	err             error
}

func (f *faulty) Read(b []byte) (int, error) {
	if f.at >= f.until && f.err != nil {
		return 0, f.err
	}
	n := min(int64(len(b)), f.until-f.at)
	if n == 0 {
		return 0, io.EOF
	}
	clear(b[:n])
	f.at += n
	return int(n), nil
}

func (f *faulty) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekEnd:
		offset += f.size
	case io.SeekCurrent:
		offset += f.at
	}
	f.at = offset
	return offset, nil
}

func (f *faulty) Close() error { return nil }
