package files

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
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

var fileTime = time.Date(2025, 1, 2, 3, 4, 5, 678000, time.UTC)

// testEnv is the API over files in memory.
type testEnv struct {
	*apitest.Server
	files *backend
}

// envOption changes the options of newEnv.
type envOption func(*api.Options, *Options)

// idle returns an envOption that sets the idle timeout.
func idle(d time.Duration) envOption { return func(_ *api.Options, o *Options) { o.IdleTimeout = d } }

func newEnv(t *testing.T, change ...envOption) *testEnv {
	t.Helper()
	b := newBackend()
	o := Options{Store: b, Uploader: b, Downloader: b, Mover: b}
	s := apitest.New(t, func(a *api.Options) {
		for _, f := range change {
			f(a, &o)
		}
	})
	Register(s.API, o)
	return &testEnv{Server: s, files: b}
}

// backend is a Store, Uploader, Downloader and Mover in memory.
type backend struct {
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

func newBackend() *backend {
	return &backend{files: map[string]*core.File{}, bytes: map[string][]byte{}, receive: keep}
}

// keep reads an upload as an engine does whose backend wraps what it is told.
func keep(_ context.Context, u *core.Upload) ([]byte, error) {
	b, err := io.ReadAll(u.Body)
	if err != nil {
		return nil, &core.Error{Code: core.CodeUnavailable, Message: "The backend was told to stop", Err: err}
	}
	return b, nil
}

func (w *backend) add(id, owner, name string, b []byte) *core.File {
	sum := sha256.Sum256(b)
	f := &core.File{
		ID: id, Name: name, Size: int64(len(b)), ContentType: http.DetectContentType(b), SHA256: hex.EncodeToString(sum[:]),
		Metadata: json.RawMessage(`{"n":12345678901234567890,"keep":"<b>"}`), Version: 1, CreatedBy: owner, CreatedAt: fileTime, UpdatedAt: fileTime,
	}
	w.files[id], w.bytes[id] = f, b
	return f
}

func (w *backend) Upload(
	ctx context.Context, audit *core.AuditRecord, v core.Actor, u *core.Upload,
) (*core.File, error) {
	b, err := w.receive(ctx, u)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.add(core.NewID("file"), v.UserID, u.Name, b)
	f.Metadata = u.Metadata
	audit.Claim()
	c := *f
	return &c, nil
}

func (w *backend) only() *core.File {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.files {
		return f
	}
	return &core.File{}
}

func (w *backend) File(_ context.Context, v core.Actor, id string) (*core.File, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.files[id]
	if f == nil || !v.Admin() && f.CreatedBy != v.UserID {
		return nil, core.NotFound("file", id)
	}
	c := *f
	return &c, nil
}

func (w *backend) Files(ctx context.Context, v core.Actor, f core.FileFilter) ([]*core.File, int, error) {
	var found []*core.File
	for id := range w.files {
		got, err := w.File(ctx, v, id)
		if err == nil && strings.Contains(strings.ToLower(got.Name), strings.ToLower(f.Name)) &&
			strings.HasPrefix(got.ContentType, strings.TrimSuffix(f.ContentType, "*")) {
			found = append(found, got)
		}
	}
	slices.SortFunc(found, func(a, b *core.File) int { return strings.Compare(b.ID, a.ID) })
	return apitest.Page(found, f.Page), len(found), nil
}

func (w *backend) UpdateFile(ctx context.Context, audit *core.AuditRecord, v core.Actor, f *core.File) error {
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
		return api.VersionConflict("file")
	}
	f.Version++
	c := *f
	w.files[f.ID] = &c
	audit.Claim()
	return nil
}

func (w *backend) Delete(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string, version int64) error {
	have, err := w.File(ctx, v, id)
	if err != nil {
		return err
	}
	if version != 0 && version != have.Version {
		return api.VersionConflict("file")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.files, id)
	audit.Claim()
	return nil
}

func (w *backend) Link(context.Context, *core.File) (string, error) { return w.link, w.linkErr }

func (w *backend) Open(_ context.Context, f *core.File) io.ReadSeekCloser {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened++
	if w.content != nil {
		return w.content(f)
	}
	return content{bytes.NewReader(w.bytes[f.ID])}
}

func (w *backend) Move(
	ctx context.Context, _ *core.AuditRecord, from, to string, report func(core.MoveProgress),
) error {
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
