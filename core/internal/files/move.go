package files

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/agentarea/agentarea/core"
	backends "github.com/agentarea/agentarea/sdk/files"
)

const (
	// movePage is how many files are looked up at once, and movers how many are
	// under way at once.
	movePage = 100
	movers   = 2
)

var (
	errChecksum = core.Conflict("The bytes are not those that were uploaded, for their checksum is another: an admin must restore them, or delete the file")
	errMissing  = core.Conflict("The bytes are not where they were kept: an admin must restore them, or delete the file")
)

// Move implements core.Files.
func (f *Files) Move(ctx context.Context, from, to string, report func(core.MoveProgress)) error {
	if err := f.checkMove(from, to); err != nil {
		return err
	}
	if !f.moving.TryLock() {
		return core.Conflict("Files are being moved already: wait for the end of that")
	}
	defer f.moving.Unlock()
	m := &move{files: f, from: from, to: to, report: report}
	var err error
	if m.progress.TotalFiles, m.progress.TotalBytes, err = f.store.BackendUsage(ctx, from); err != nil {
		return err
	}
	m.change(func(*core.MoveProgress) {})
	for after := ""; ; {
		page, err := f.store.FilesInBackend(ctx, from, after, movePage)
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1].ID
		if err := m.all(ctx, page); err != nil {
			return err
		}
	}
}

func (f *Files) checkMove(from, to string) error {
	labels := f.labels()
	for _, end := range []struct{ field, label string }{{"from", from}, {"to", to}} {
		if !slices.Contains(labels, end.label) {
			return core.Invalid(end.field, "There is no enabled files plugin %q in plugins.hcl; there are: %s",
				end.label, strings.Join(labels, ", "))
		}
	}
	if from == to {
		return core.Invalid("to", "Must be another backend than from")
	}
	return nil
}

// move is one under way.
type move struct {
	files    *Files
	from, to string

	mu       sync.Mutex
	progress core.MoveProgress
	report   func(core.MoveProgress)
}

// change changes the progress and reports it.
func (m *move) change(by func(*core.MoveProgress)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	by(&m.progress)
	m.report(m.progress)
	m.progress.FileID, m.progress.Error = "", nil
}

// all moves files, some at once. It fails when the rest would fail too.
func (m *move) all(ctx context.Context, page []*core.File) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan *core.File)
	var workers sync.WaitGroup
	for range movers {
		workers.Go(func() {
			for file := range next {
				if err := m.one(ctx, file); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, file := range page {
		select {
		case next <- file:
		case <-ctx.Done():
		}
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}

// one moves a file. What is wrong with this file alone is reported and no error.
func (m *move) one(ctx context.Context, file *core.File) error {
	var moved int64
	count := func(n int64) {
		moved += n
		m.change(func(p *core.MoveProgress) { p.Bytes += n })
	}
	err := m.files.moveFile(ctx, file, m.to, count)
	switch {
	case err == nil:
		m.change(func(p *core.MoveProgress) { p.Files++ })
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case core.CodeOf(err) == core.CodeNotFound:
		// Deleted, or moved by somebody else, meanwhile.
		m.change(func(p *core.MoveProgress) { p.Bytes -= moved })
		return nil
	case errors.Is(err, errChecksum), errors.Is(err, errMissing):
		m.change(func(p *core.MoveProgress) {
			p.Bytes -= moved
			p.Failed++
			p.FileID, p.Error = file.ID, err
		})
		return nil
	default:
		return fmt.Errorf("move file %s: %w", file.ID, err)
	}
}

// moveFile copies the bytes of a file to a backend and has the file take the copy.
func (f *Files) moveFile(ctx context.Context, file *core.File, to string, count func(int64)) error {
	label, backend, err := f.backends.FileBackend(ctx, to)
	if err != nil {
		return err
	}
	src := f.Open(ctx, file)
	defer src.Close()
	in := newIntake(&counted{src, count}, file.Size, errChecksum)
	blob, err := f.write(ctx, label, backend, in, backends.PutOptions{Size: file.Size, ContentType: file.ContentType})
	if err != nil {
		return err
	}
	if sum := in.sum(); hex.EncodeToString(sum[:]) != file.SHA256 {
		f.discard(ctx, blob)
		return errChecksum
	}
	err = f.store.MoveFile(ctx, file.ID, file.Blob, blob, now().Add(f.times.Grace))
	switch core.CodeOf(err) { //nolint:exhaustive // of the others nobody knows whether the file has moved
	case core.CodeNotFound:
		f.discard(ctx, blob)
	case core.CodeConflict:
		f.discard(ctx, blob)
		err = errTooSlow
	}
	return err
}
