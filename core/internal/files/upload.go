package files

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/agentarea/agentarea/core"
	backends "github.com/agentarea/agentarea/sdk/files"
)

// Upload implements core.Files.
func (f *Files) Upload(ctx context.Context, audit *core.AuditRecord, v core.Actor, u *core.Upload) (*core.File, error) {
	if err := f.admit(v.UserID); err != nil {
		return nil, err
	}
	defer f.release(v.UserID)
	if u.ID != "" {
		if file, err := f.store.File(ctx, v, u.ID); core.CodeOf(err) != core.CodeNotFound || err == nil {
			return file, err
		}
	}
	label, backend, err := f.backends.FileBackend(ctx, "")
	if err != nil {
		return nil, err
	}
	in, err := f.intake(ctx, v, u)
	if err != nil {
		return nil, err
	}
	blob, err := f.write(ctx, label, backend, in, backends.PutOptions{Size: -1, ContentType: in.contentType})
	if err != nil {
		return nil, err
	}
	return f.create(ctx, audit, v, u, in, blob)
}

// admit counts an upload. It fails with RateLimited if the user has too many.
func (f *Files) admit(userID string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.uploads[userID] >= f.limits.Uploads {
		return &core.Error{
			Code: core.CodeRateLimited,
			Message: fmt.Sprintf("You have reached the limit of %d concurrent uploads. Wait until one has finished.",
				f.limits.Uploads),
			RetryAfter: time.Second,
		}
	}
	f.uploads[userID]++
	return nil
}

// release removes an upload from the count.
func (f *Files) release(userID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.uploads[userID]--; f.uploads[userID] == 0 {
		delete(f.uploads, userID)
	}
}

// intake returns a reader for an upload that enforces the limits.
func (f *Files) intake(ctx context.Context, v core.Actor, u *core.Upload) (*intake, error) {
	limit, limitErr := f.limits.FileSize, tooLarge(f.limits.FileSize)
	if quota := f.limits.UserTotal; quota > 0 {
		used, err := f.store.FileUsage(ctx, v.UserID)
		if err != nil {
			return nil, err
		}
		if left := max(quota-used, 0); left < limit {
			limit, limitErr = left, overQuota(quota, used)
		}
	}
	in := newIntake(u.Body, limit, limitErr)
	if err := in.peek(); err != nil {
		return nil, err
	}
	return in, nil
}

func tooLarge(limit int64) error {
	e := &core.Error{
		Code: core.CodePayloadTooLarge, Message: fmt.Sprintf("The file exceeds the limit of %d bytes per file", limit),
	}
	return e.WithField("file")
}

func overQuota(quota, used int64) error {
	e := &core.Error{
		Code: core.CodePayloadTooLarge,
		Message: fmt.Sprintf("Your files would exceed the limit of %d bytes per user. You have stored %d bytes; delete "+
			"files first.",
			quota, used),
	}
	return e.WithField("file")
}

// create stores the row of an uploaded file.
func (f *Files) create(
	ctx context.Context, audit *core.AuditRecord, v core.Actor, u *core.Upload, in *intake, blob core.Blob,
) (*core.File, error) {
	created := now()
	sum := in.sum()
	file := &core.File{
		ID: u.ID, Name: u.Name, Size: in.size, ContentType: in.contentType, SHA256: hex.EncodeToString(sum[:]),
		Metadata: u.Metadata, Version: 1, CreatedBy: v.UserID, CreatedAt: created, UpdatedAt: created, Blob: blob,
	}
	if file.ID == "" {
		file.ID = core.NewID("file")
	}
	audit.SetTarget(file.ID)
	if len(file.Metadata) == 0 {
		file.Metadata = json.RawMessage("{}")
	}
	audit.AddToHash(file.Name, file.SHA256, string(file.Metadata))
	// The bytes are stored, so finish even if the client disconnects.
	ctx = context.WithoutCancel(ctx)
	err := f.store.CreateFile(ctx, audit, file, f.limits.UserTotal)
	if err == nil {
		return file, nil
	}
	var repeated *core.RepeatedRequest
	if errors.As(err, &repeated) {
		f.discard(ctx, blob)
		return nil, err
	}
	switch core.CodeOf(err) { //nolint:exhaustive // after other errors it is unknown whether the file was created
	case core.CodePayloadTooLarge:
		f.discard(ctx, blob)
	case core.CodeConflict:
		f.discard(ctx, blob)
		if u.ID != "" {
			return f.store.File(ctx, v, u.ID)
		}
		return nil, errTooSlow
	}
	return nil, err
}
