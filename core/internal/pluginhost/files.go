package pluginhost

import (
	"context"
	"io"
	"iter"
	"sync"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk/files"
)

// FileBackend gives the files plugin of that label, or without a label the one
// that takes new files, and its label. It waits and fails as Agent does. The
// backend is a files.Presigner too, outlives reloads, and its methods, too, fail
// with Unavailable when the plugin is not there.
func (h *Host) FileBackend(ctx context.Context, label string) (string, files.Backend, error) {
	b := &backend{host: h}
	err := h.check(ctx, func(r *registry) (*supervisor, error) {
		s, err := r.backend(label)
		if err == nil {
			b.label = s.stanza.Label
		}
		return s, err
	})
	if err != nil {
		return "", nil, err
	}
	return b.label, b, nil
}

// backend gives the enabled files stanza of that label, or an error that says
// why there is none.
func (r *registry) backend(label string) (*supervisor, error) {
	if label == "" {
		label = r.fileBackend
	}
	if s := labelled(r.backends, label); s != nil {
		return s, nil
	}
	for _, s := range r.plugins {
		if s.stanza.Kind == files.Kind && (s.stanza.Label == label || label == "") {
			return nil, s.unavailable()
		}
	}
	if label == "" {
		return nil, core.Unavailable("There is no files plugin in plugins.hcl: add one and name it in file_backend, then reload")
	}
	return nil, core.Unavailable("There is no files plugin %q in plugins.hcl any more (%s): add its stanza again, then reload",
		label, listed(labels(r.backends)))
}

// backend is a files plugin that outlives reloads, and tells of a crash what can
// be told.
type backend struct {
	host  *Host
	label string
}

var _ files.Presigner = (*backend)(nil)

func (b *backend) begin(ctx context.Context) (*instance, error) {
	return b.host.begin(ctx, func(r *registry) (*supervisor, error) { return r.backend(b.label) })
}

// Stat implements files.Backend.
func (b *backend) Stat(ctx context.Context, key string) (*files.Object, error) {
	i, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer i.end()
	o, err := i.backend.Stat(ctx, key)
	return o, i.judge(ctx, err)
}

// Get implements files.Backend. The call is under way until the reader is closed.
func (b *backend) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	i, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	r, err := i.backend.Get(ctx, key, offset, length)
	if err != nil {
		defer i.end()
		return nil, i.judge(ctx, err)
	}
	return &reader{ctx: ctx, of: i, inner: r}, nil
}

// Put implements files.Backend.
func (b *backend) Put(ctx context.Context, key string, r io.Reader, o files.PutOptions) (*files.Stored, error) {
	i, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer i.end()
	stored, err := i.backend.Put(ctx, key, r, o)
	return stored, i.judge(ctx, err)
}

// Delete implements files.Backend.
func (b *backend) Delete(ctx context.Context, key string) error {
	i, err := b.begin(ctx)
	if err != nil {
		return err
	}
	defer i.end()
	return i.judge(ctx, i.backend.Delete(ctx, key))
}

// List implements files.Backend. The call is under way until the iteration ends.
func (b *backend) List(ctx context.Context, prefix, after string) iter.Seq2[files.Object, error] {
	return func(yield func(files.Object, error) bool) {
		i, err := b.begin(ctx)
		if err != nil {
			yield(files.Object{}, err)
			return
		}
		defer i.end()
		for o, err := range i.backend.List(ctx, prefix, after) {
			if !yield(o, i.judge(ctx, err)) {
				return
			}
		}
	}
}

// Presign implements files.Presigner.
func (b *backend) Presign(ctx context.Context, req files.PresignRequest) (string, error) {
	i, err := b.begin(ctx)
	if err != nil {
		return "", err
	}
	defer i.end()
	url, err := i.backend.Presign(ctx, req)
	return url, i.judge(ctx, err)
}

// reader is what Get gives.
type reader struct {
	ctx    context.Context
	of     *instance
	inner  io.ReadCloser
	closed sync.Once
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.inner.Read(p)
	return n, r.of.judge(r.ctx, err)
}

// WriteTo spares a copy where the inner reader does.
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, r.inner)
	return n, r.of.judge(r.ctx, err)
}

func (r *reader) Close() error {
	defer r.closed.Do(r.of.end)
	return r.inner.Close()
}
