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
	"github.com/agentarea/agentarea/sdk"
	backends "github.com/agentarea/agentarea/sdk/files"
)

const (
	// movePage is the number of files per database query. movers is the number of concurrent moves.
	movePage = 100
	movers   = 2
)

var (
	errChecksum = core.Conflict("The bytes in the file backend do not match the checksum of the file. An administrator " +
		"must restore them or delete the file.")
	errMissing = core.Conflict("The bytes of the file are missing in the file backend. An administrator must restore " +
		"them or delete the file.")
)

// Move implements core.Files.
func (f *Files) Move(
	ctx context.Context, audit *core.AuditRecord, from, to string, report func(core.MoveProgress),
) error {
	if err := f.checkMove(from, to); err != nil {
		return err
	}
	if !f.moving.TryLock() {
		return core.Conflict("Another move of files is in progress. Wait until it has finished.")
	}
	defer f.moving.Unlock()
	m := &move{files: f, audit: audit, from: from, to: to, report: report}
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

// checkMove validates the labels of a move.
func (f *Files) checkMove(from, to string) error {
	labels := f.labels()
	for _, end := range []struct{ field, label string }{{"from", from}, {"to", to}} {
		if !slices.Contains(labels, end.label) {
			return core.Invalid(end.field, "No enabled files plugin has the label %q. Labels in plugins.hcl: %s",
				end.label, strings.Join(labels, ", "))
		}
	}
	if from == to {
		return core.Invalid("to", "Must differ from \"from\"")
	}
	return nil
}

// move is the state of a move in progress.
type move struct {
	files    *Files
	audit    *core.AuditRecord
	from, to string

	mu       sync.Mutex
	progress core.MoveProgress
	report   func(core.MoveProgress)
}

// change updates the progress and reports it.
func (m *move) change(by func(*core.MoveProgress)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	by(&m.progress)
	m.report(m.progress)
	m.progress.FileID, m.progress.Error = "", nil
}

// all moves a page of files, several at once. It stops at the first error.
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

// one moves a file. It reports a problem with this file only, and returns other errors.
func (m *move) one(ctx context.Context, file *core.File) error {
	var moved int64
	count := func(n int64) {
		moved += n
		m.change(func(p *core.MoveProgress) { p.Bytes += n })
	}
	err := m.files.moveFile(ctx, m.audit, file, m.to, count)
	switch {
	case err == nil:
		m.change(func(p *core.MoveProgress) { p.Files++ })
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case core.CodeOf(err) == core.CodeNotFound:
		// The file was deleted or moved concurrently.
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
		return fmt.Errorf("move file %s: %w", file.ID, withReason(err))
	}
}

// withReason returns the error of a backend with the backend's own reason, because only administrators move files.
// An error that another attempt would not change has the code UPSTREAM_ERROR, unless it has a more specific one.
func withReason(err error) error {
	var public *core.Error
	var backend *sdk.Error
	if !errors.As(err, &public) || !errors.As(err, &backend) || backend.Message == "" {
		return err
	}
	e := *public
	if !unavailable(backend) && (e.Code == core.CodeUnavailable || e.Code == core.CodeInternal) {
		e.Code = core.CodeUpstream
	}
	if public.Code == core.CodeInternal {
		e.Message = "The file backend failed."
	}
	e.Message += " It reports: " + backend.Message
	return &e
}

// moveFile copies the bytes of a file to a backend, verifies them, and updates the row of the file.
func (f *Files) moveFile(
	ctx context.Context, audit *core.AuditRecord, file *core.File, to string, count func(int64),
) error {
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
	err = f.store.MoveFile(ctx, audit, file.ID, file.Blob, blob, now().Add(f.times.Grace))
	switch core.CodeOf(err) { //nolint:exhaustive // after other errors it is unknown whether the file was moved
	case core.CodeNotFound:
		f.discard(ctx, blob)
	case core.CodeConflict:
		f.discard(ctx, blob)
		err = errTooSlow
	}
	return err
}
