package run_test

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// fakeFiles holds files in memory. Reads and uploads can be made to fail.
type fakeFiles struct {
	mu    sync.Mutex
	files map[string]*core.File
	bytes map[string][]byte
	// fail is the error of reads and uploads, if it is set.
	fail error
	// hold, if set, is called before an upload returns, when the file is stored.
	hold  func(context.Context)
	reads int
}

func newFakeFiles() *fakeFiles {
	return &fakeFiles{files: map[string]*core.File{}, bytes: map[string][]byte{}}
}

// put stores a file and returns a part that names it.
func (c *fakeFiles) put(v core.Actor, id, name, contentType string, data []byte) sdk.Part {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &core.File{
		ID: id, Name: name, ContentType: contentType, Size: int64(len(data)), CreatedBy: v.UserID, CreatedAt: time.Now(),
	}
	c.files[id], c.bytes[id] = f, data
	return sdk.Part{File: f.Ref()}
}

// change calls do while no file is accessed.
func (c *fakeFiles) change(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
}

func (c *fakeFiles) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.files)
}

// fakeFileStore is a hostcall.FileStore of fakeFiles.
type fakeFileStore struct {
	*fakeFiles
}

func (r fakeFileStore) File(_ context.Context, v core.Actor, id string) (*core.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.files[id]
	if f == nil || f.CreatedBy != v.UserID && !v.Admin() {
		return nil, core.NotFound("file", id)
	}
	return f, nil
}

// fakeFileContent is a hostcall.FileContent of fakeFiles.
type fakeFileContent struct {
	*fakeFiles
}

func (p fakeFileContent) Upload(
	ctx context.Context, _ *core.AuditRecord, v core.Actor, u *core.Upload,
) (*core.File, error) {
	data, err := io.ReadAll(u.Body)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	fail, existing, hold := p.fail, p.files[u.ID], p.hold
	p.mu.Unlock()
	if fail != nil {
		return nil, fail
	}
	if existing == nil {
		p.put(v, u.ID, u.Name, "text/plain; charset=utf-8", data)
	}
	if hold != nil {
		hold(ctx)
	}
	return fakeFileStore(p).File(ctx, v, u.ID)
}

func (p fakeFileContent) Open(_ context.Context, f *core.File) io.ReadSeekCloser {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reads++
	return &fakeReader{Reader: bytes.NewReader(p.bytes[f.ID]), fail: p.fail}
}

type fakeReader struct {
	*bytes.Reader
	fail error
}

func (p *fakeReader) Read(b []byte) (int, error) {
	if p.fail != nil {
		return 0, p.fail
	}
	return p.Reader.Read(b)
}

func (*fakeReader) Close() error { return nil }
