package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	backends "github.com/agentarea/agentarea/sdk/files"
)

const (
	// maxReopens is the maximum number of times that a download is resumed after crashes of its backend.
	maxReopens = 2
	// linkTime is the lifetime of a presigned URL.
	linkTime = 5 * time.Minute
)

// Open implements core.Files.
func (f *Files) Open(ctx context.Context, file *core.File) io.ReadSeekCloser {
	return &reader{files: f, ctx: ctx, file: file}
}

// reader reads a file from its backend. It opens a new range after each Seek and after a crash of
// the backend.
type reader struct {
	files *Files
	ctx   context.Context //nolint:containedctx // the context of the download; Read has no context parameter
	file  *core.File
	at    int64

	// body reads from at. It is nil before the first Read and after a Seek.
	body    io.ReadCloser
	cancel  context.CancelCauseFunc
	reopens int
}

// Seek implements io.Seeker.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.file.Size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start of the file")
	}
	if offset != r.at {
		r.closeBody()
		r.at = offset
	}
	return offset, nil
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.at >= r.file.Size {
		return 0, io.EOF
	}
	for {
		n, err := r.tryRead(p)
		r.at += int64(n)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			continue
		case errors.Is(err, io.EOF):
			return 0, r.backendError(&sdk.Error{Code: sdk.CodeNotFound, Message: "the blob is shorter than the file"})
		case r.ctx.Err() != nil:
			return 0, r.ctx.Err()
		case sdk.AsError(err).Code == sdk.CodePluginCrashed && r.reopens < maxReopens:
			r.reopens++
			r.closeBody()
		default:
			return 0, r.backendError(err)
		}
	}
}

func (r *reader) tryRead(p []byte) (int, error) {
	if r.body == nil {
		if err := r.open(); err != nil {
			return 0, err
		}
	}
	stalled := time.AfterFunc(r.files.times.Stall, func() { r.cancel(errStalled) })
	defer stalled.Stop()
	return r.body.Read(p[:min(int64(len(p)), r.file.Size-r.at)])
}

func (r *reader) open() error {
	_, backend, err := r.files.backends.FileBackend(r.ctx, r.file.Blob.Backend)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(r.ctx)
	stalled := time.AfterFunc(r.files.times.Stall, func() { cancel(errStalled) })
	defer stalled.Stop()
	body, err := backend.Get(ctx, r.file.Blob.Key, r.at, 0)
	if err != nil {
		cancel(nil)
		return err
	}
	r.body, r.cancel = body, cancel
	return nil
}

func (r *reader) backendError(err error) error {
	return r.files.backendError(r.ctx, r.file.Blob.Backend, fmt.Errorf("read file %s: %w", r.file.ID, err))
}

// closeBody closes the current range.
func (r *reader) closeBody() {
	if r.body != nil {
		_ = r.body.Close() // only reading
		r.cancel(nil)
		r.body = nil
	}
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.closeBody()
	return nil
}

// Link implements core.Files.
func (f *Files) Link(ctx context.Context, file *core.File) (string, error) {
	_, backend, err := f.backends.FileBackend(ctx, file.Blob.Backend)
	if err != nil {
		return "", err
	}
	presigner, ok := backend.(backends.Presigner)
	if !ok {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.times.Call)
	defer cancel()
	url, err := presigner.Presign(ctx, backends.PresignRequest{
		Key: file.Blob.Key, Expires: linkTime, ContentType: file.ContentType,
		ContentDisposition: mime.FormatMediaType("attachment", map[string]string{"filename": file.Name}),
	})
	if err != nil {
		return "", f.backendError(ctx, file.Blob.Backend, err)
	}
	return url, nil
}
