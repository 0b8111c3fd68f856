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
	errStalled = errors.New("no progress")
	errSwept   = errors.New("the blob was claimed by the sweeper")
	errTooSlow = core.Unavailable("The upload took too long. Try again.")
)

// write reserves a blob and stores the bytes of in there. If it succeeds, the bytes are durable and
// verified, and the blob is still pending. If it fails, the bytes are deleted, at the latest by the
// sweeper.
func (f *Files) write(
	ctx context.Context, label string, backend backends.Backend, in *intake, o backends.PutOptions,
) (core.Blob, error) {
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
		f.log.ErrorContext(ctx, "the file backend stored different bytes",
			"backend", label, "key", blob.Key, "size", in.size, "stored", stored.Size)
		f.discard(ctx, blob)
		return blob, core.Unavailable("The file backend %q did not store the bytes correctly. Try again.", label)
	case err == nil:
		return blob, nil
	}
	err = f.writeError(ctx, label, in, err)
	// After the last byte the backend may still store the blob, and an unavailable backend cannot
	// delete it. The sweeper deletes it later.
	if !p.ended.Load() && !unavailable(err) {
		f.discard(ctx, blob)
	}
	return blob, err
}

// writeError returns the error for the caller after a failed write: the caller's own error, a
// timeout, or the backend's error.
func (f *Files) writeError(ctx context.Context, label string, in *intake, err error) error {
	cause := context.Cause(ctx)
	switch {
	case in.err != nil:
		return in.err
	case errors.Is(cause, errSwept):
		return errTooSlow
	case errors.Is(cause, errStalled):
		return f.backendError(ctx, label, &sdk.Error{Code: sdk.CodeTimeout, Message: cause.Error()})
	case cause != nil:
		return cause
	default:
		return f.backendError(ctx, label, err)
	}
}

// newKey returns the key of a new blob. Its two-character folder distributes the blobs evenly.
func newKey() string {
	id := core.NewID("blob")
	return id[len(id)-2:] + "/" + id
}

// renew renews the reservation of a blob until stop is called. It cancels with errSwept if the
// sweeper has claimed the blob.
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
				f.log.WarnContext(ctx, "renewing a reservation failed", "backend", blob.Backend, "key", blob.Key, "error", err)
			}
		}
	}()
	return func() { close(done) }
}

// discard deletes the bytes of a reserved blob that is not needed. If that fails, the sweeper
// deletes them later.
func (f *Files) discard(ctx context.Context, blob core.Blob) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.times.Call)
	defer cancel()
	if err := f.remove(ctx, blob); err != nil {
		f.log.InfoContext(ctx, "deleting a blob failed; the sweeper retries",
			"backend", blob.Backend, "key", blob.Key, "error", err)
	}
}

// remove deletes the bytes of a blob and then its pending row.
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

// progress is a reader that cancels the write if the backend stops reading.
type progress struct {
	*intake
	stall, commit time.Duration
	cancel        func()
	timer         *time.Timer
	// ended is set after the last byte was read.
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
