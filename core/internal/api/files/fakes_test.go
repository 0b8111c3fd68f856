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
	// receive reads the bytes of an upload. The default is readAll.
	receive func(ctx context.Context, u *core.Upload) ([]byte, error)
	// content opens a file. The default returns its bytes.
	content func(f *core.File) io.ReadSeekCloser
	opened  int
	link    string
	linkErr error
	move    func(ctx context.Context, from, to string, report func(core.MoveProgress)) error
	// races is the number of updates that another client makes first.
	races int
}

func newBackend() *backend {
	return &backend{files: map[string]*core.File{}, bytes: map[string][]byte{}, receive: readAll}
}

// readAll reads an upload. Like a file backend, it replaces the error of the body.
func readAll(_ context.Context, u *core.Upload) ([]byte, error) {
	b, err := io.ReadAll(u.Body)
	if err != nil {
		return nil, &core.Error{Code: core.CodeUnavailable, Message: "The upload was interrupted", Err: err}
	}
	return b, nil
}

func (m *backend) add(id, owner, name string, b []byte) *core.File {
	sum := sha256.Sum256(b)
	f := &core.File{
		ID: id, Name: name, Size: int64(len(b)), ContentType: http.DetectContentType(b), SHA256: hex.EncodeToString(sum[:]),
		Metadata: json.RawMessage(`{"n":12345678901234567890,"keep":"<b>"}`),
		Version:  1, CreatedBy: owner, CreatedAt: fileTime, UpdatedAt: fileTime,
	}
	m.files[id], m.bytes[id] = f, b
	return f
}

func (m *backend) Upload(
	ctx context.Context, audit *core.AuditRecord, v core.Actor, u *core.Upload,
) (*core.File, error) {
	b, err := m.receive(ctx, u)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.add(core.NewID("file"), v.UserID, u.Name, b)
	f.Metadata = u.Metadata
	audit.Claim()
	c := *f
	return &c, nil
}

func (m *backend) only() *core.File {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.files {
		return f
	}
	return &core.File{}
}

func (m *backend) File(_ context.Context, v core.Actor, id string) (*core.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[id]
	if f == nil || !v.Admin() && f.CreatedBy != v.UserID {
		return nil, core.NotFound("file", id)
	}
	c := *f
	return &c, nil
}

func (m *backend) Files(ctx context.Context, v core.Actor, f core.FileFilter) ([]*core.File, int, error) {
	var found []*core.File
	for id := range m.files {
		got, err := m.File(ctx, v, id)
		if err == nil && strings.Contains(strings.ToLower(got.Name), strings.ToLower(f.Name)) &&
			strings.HasPrefix(got.ContentType, strings.TrimSuffix(f.ContentType, "*")) {
			found = append(found, got)
		}
	}
	slices.SortFunc(found, func(a, b *core.File) int { return strings.Compare(b.ID, a.ID) })
	return apitest.Page(found, f.Page), len(found), nil
}

func (m *backend) UpdateFile(ctx context.Context, audit *core.AuditRecord, v core.Actor, f *core.File) error {
	have, err := m.File(ctx, v, f.ID)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.races > 0 {
		m.races--
		m.files[f.ID].Version++
		have.Version++
	}
	if have.Version != f.Version {
		return api.VersionConflict("file")
	}
	f.Version++
	c := *f
	m.files[f.ID] = &c
	audit.Claim()
	return nil
}

func (m *backend) Delete(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string, version int64) error {
	have, err := m.File(ctx, v, id)
	if err != nil {
		return err
	}
	if version != 0 && version != have.Version {
		return api.VersionConflict("file")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, id)
	audit.Claim()
	return nil
}

func (m *backend) Link(context.Context, *core.File) (string, error) { return m.link, m.linkErr }

func (m *backend) Open(_ context.Context, f *core.File) io.ReadSeekCloser {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opened++
	if m.content != nil {
		return m.content(f)
	}
	return content{bytes.NewReader(m.bytes[f.ID])}
}

func (m *backend) Move(
	ctx context.Context, _ *core.AuditRecord, from, to string, report func(core.MoveProgress),
) error {
	return m.move(ctx, from, to, report)
}

type content struct{ io.ReadSeeker }

func (content) Close() error { return nil }

// faulty is a reader of zeros that fails at the position until, if err is set.
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
