package files

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	backends "github.com/agentarea/agentarea/sdk/files"
)

var (
	errStalled = errors.New("it makes no progress")
	errSwept   = errors.New("the blob was claimed by the sweeper")
	errTooSlow = core.Unavailable("The upload took too long to be kept: try again")
)

// write reserves a blob, and has a backend keep there what in gives. When it
// succeeds, the bytes are safe and are those that were read, and the blob is
// still a pending blob; when it fails, nothing is kept for long.
func (f *Files) write(ctx context.Context, label string, backend backends.Backend, in *intake, o backends.PutOptions) (core.Blob, error) {
	blob := core.Blob{Backend: label, Key: newKey()}
	if err := f.store.ReserveBlob(ctx, blob, now().Add(f.times.Reserve)); err != nil {
		return blob, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer f.renew(ctx, blob, cancel)()
	p := &progress{intake: in, stall: f.times.Stall, commit: f.times.Commit, cancel: func() { cancel(errStalled) }}
	stored, err := backend.Put(ctx, blob.Key, p, o)
	p.stop()
	switch {
	case err == nil && (stored.Size != in.size || stored.SHA256 != in.sum()):
		f.log.ErrorContext(ctx, "the backend kept other bytes than it was given", "backend", label, "key", blob.Key, "size", in.size, "kept", stored.Size)
		f.discard(ctx, blob)
		return blob, core.Unavailable("The file backend %q did not keep the bytes as they are: try again", label)
	case err == nil:
		return blob, nil
	}
	err = f.whyNotWritten(ctx, label, in, err)
	// After the last byte the backend may still come to keep them, and one that is
	// away can't be asked: then the sweeper sees to it.
	if !p.ended.Load() && !away(err) {
		f.discard(ctx, blob)
	}
	return blob, err
}

// whyNotWritten says whose fault it is: the caller's, the backend's or time's.
func (f *Files) whyNotWritten(ctx context.Context, label string, in *intake, err error) error {
	cause := context.Cause(ctx)
	switch {
	case in.err != nil:
		return in.err
	case errors.Is(cause, errSwept):
		return errTooSlow
	case errors.Is(cause, errStalled):
		return f.fault(ctx, label, &sdk.Error{Code: sdk.CodeTimeout, Message: cause.Error()})
	case cause != nil:
		return cause
	default:
		return f.fault(ctx, label, err)
	}
}

// newKey is that of a new blob. Its folder spreads the blobs evenly.
func newKey() string {
	id := core.NewID("blob")
	return id[len(id)-2:] + "/" + id
}

// renew keeps a reserved blob from the sweeper until its result is called, and
// ends ctx with errSwept when that fails.
func (f *Files) renew(ctx context.Context, blob core.Blob, cancel context.CancelCauseFunc) (stop func()) {
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(f.times.Renew)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			err := f.store.RenewBlob(ctx, blob, now().Add(f.times.Reserve))
			switch {
			case core.CodeOf(err) == core.CodeConflict:
				cancel(errSwept)
				return
			case err != nil:
				f.log.WarnContext(ctx, "reservation not renewed", "backend", blob.Backend, "key", blob.Key, "error", err)
			}
		}
	}()
	return func() { close(done) }
}

// discard deletes the bytes of a reserved blob that no file will take. If that
// fails, the sweeper does it.
func (f *Files) discard(ctx context.Context, blob core.Blob) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.times.Call)
	defer cancel()
	if err := f.remove(ctx, blob); err != nil {
		f.log.InfoContext(ctx, "blob left to the sweeper", "backend", blob.Backend, "key", blob.Key, "error", err)
	}
}

// remove deletes the bytes of a blob and forgets it.
func (f *Files) remove(ctx context.Context, blob core.Blob) error {
	_, backend, err := f.backends.FileBackend(ctx, blob.Backend)
	if err != nil {
		return err
	}
	if err := backend.Delete(ctx, blob.Key); err != nil {
		return err
	}
	return f.store.DeletePendingBlob(ctx, blob)
}

// progress is a reader that notices when the backend does not read on.
type progress struct {
	*intake
	stall, commit time.Duration
	cancel        func()
	timer         *time.Timer
	// ended is set when the last byte was handed over.
	ended atomic.Bool
}

// Read implements io.Reader.
func (p *progress) Read(b []byte) (int, error) {
	p.stop()
	n, err := p.intake.Read(b)
	wait := p.stall
	if errors.Is(err, io.EOF) {
		p.ended.Store(true)
		wait = p.commit
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(wait, p.cancel)
	} else {
		p.timer.Reset(wait)
	}
	return n, err
}

func (p *progress) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
