package pluginhost

import (
	"context"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk/files"
)

// FileBackend returns the files plugin with the given label and its label. An empty label
// selects the backend for new files. FileBackend waits and fails as Agent does. The
// backend also implements files.Presigner and can be used after a reload. Its methods fail with
// Unavailable while the plugin is not available.
func (h *Host) FileBackend(ctx context.Context, label string) (string, files.Backend, error) {
	b := &backend{host: h}
	err := h.check(ctx, func(r *registry) (*supervisor, error) {
		s, err := r.backend(label)
		if err == nil {
			b.label = s.block.Label
		}
		return s, err
	})
	if err != nil {
		return "", nil, err
	}
	return b.label, b, nil
}

// backend returns the enabled files plugin with the given label. If there is none, it returns an
// error with the reason.
func (r *registry) backend(label string) (*supervisor, error) {
	if label == "" {
		label = r.fileBackend
	}
	if s := findLabel(r.backends, label); s != nil {
		return s, nil
	}
	for _, s := range r.plugins {
		if s.block.Kind == files.Kind && (s.block.Label == label || label == "") {
			return nil, s.unavailable()
		}
	}
	if label == "" {
		return nil, core.Unavailable("No files plugin is in plugins.hcl. Add one, set file_backend to its label and " +
			"reload plugins.")
	}
	return nil, core.Unavailable("Files plugin %q is not in plugins.hcl. Available files plugins: %s. Add its block and "+
		"reload plugins.",
		label, joined(labels(r.backends)))
}

// backend is a files plugin. It can be used after a reload: each call uses the current plugin. It adds
// details to the error of a crash.
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
	return call(ctx, i, i.timing.Call,
		func(ctx context.Context) (*files.Object, error) { return i.backend.Stat(ctx, key) })
}

// Get implements files.Backend. The call is active until the reader is closed.
func (b *backend) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	i, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	r, err := i.backend.Get(ctx, key, offset, length)
	if err != nil {
		defer i.end()
		return nil, i.callError(ctx, err)
	}
	return &reader{ctx: ctx, inst: i, inner: r}, nil
}

// Put implements files.Backend.
func (b *backend) Put(ctx context.Context, key string, r io.Reader, o files.PutOptions) (*files.Stored, error) {
	i, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer i.end()
	stored, err := i.backend.Put(ctx, key, r, o)
	return stored, i.callError(ctx, err)
}

// Delete implements files.Backend.
func (b *backend) Delete(ctx context.Context, key string) error {
	i, err := b.begin(ctx)
	if err != nil {
		return err
	}
	defer i.end()
	return callWithoutResult(ctx, i, i.timing.Call, func(ctx context.Context) error { return i.backend.Delete(ctx, key) })
}

// List implements files.Backend. The call is active until the iteration ends.
func (b *backend) List(ctx context.Context, prefix, after string) iter.Seq2[files.Object, error] {
	return func(yield func(files.Object, error) bool) {
		i, err := b.begin(ctx)
		if err != nil {
			yield(files.Object{}, err)
			return
		}
		defer i.end()
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		waiting := time.AfterFunc(i.timing.Call, func() { cancel(noAnswerError{i.timing.Call}) })
		defer waiting.Stop()
		for o, err := range i.backend.List(ctx, prefix, after) {
			waiting.Stop() // the caller may take longer
			if !yield(o, i.deadlineError(ctx, err)) {
				return
			}
			waiting.Reset(i.timing.Call)
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
	return call(ctx, i, i.timing.Call, func(ctx context.Context) (string, error) { return i.backend.Presign(ctx, req) })
}

// reader is the result of Get.
type reader struct {
	ctx    context.Context
	inst   *instance
	inner  io.ReadCloser
	closed sync.Once
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.inner.Read(p)
	return n, r.inst.callError(r.ctx, err)
}

// WriteTo implements io.WriterTo to avoid a copy if the inner reader supports it.
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, r.inner)
	return n, r.inst.callError(r.ctx, err)
}

func (r *reader) Close() error {
	defer r.closed.Do(r.inst.end)
	return r.inner.Close()
}
