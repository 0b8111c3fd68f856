package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"log/slog"
	"mime"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

const (
	// maxUploads limits the memory of uploads: each holds up to two parts.
	maxUploads = 32
	// commitTimeout is the maximum time for S3 to create an object from the received data,
	// while the connection is alive.
	commitTimeout = 5 * time.Minute
	// cleanupTimeout is the maximum time for a failed Put to clean up.
	cleanupTimeout = 2 * time.Second
	// putIDHeader is the metadata of an object that identifies the Put that created it.
	putIDHeader = "Agentarea-Put"
)

// Put implements files.Backend. S3 creates an object atomically: by a single request for a
// small file, or else by the request that completes a multipart upload.
func (b *backend) Put(ctx context.Context, key string, r io.Reader, o files.PutOptions) (*files.Stored, error) {
	if err := b.acquireSlot(ctx); err != nil {
		return nil, err
	}
	defer func() { <-b.slots }()
	name := b.name(key)
	p := b.activePuts.begin(name)
	defer p.end()
	contentType := o.ContentType
	if _, _, err := mime.ParseMediaType(contentType); err != nil {
		contentType = "application/octet-stream"
	}
	putID := rand.Text()
	u := &upload{b: b, put: p, name: name, putID: putID, sum: sha256.New(), options: minio.PutObjectOptions{
		ContentType: contentType, UserMetadata: map[string]string{putIDHeader: putID}, DisableContentSha256: true,
	}}
	if err := u.run(ctx, r, o.Size); err != nil {
		u.abort(ctx)
		return nil, err
	}
	return &files.Stored{Size: u.size, SHA256: [sha256.Size]byte(u.sum.Sum(nil))}, nil
}

// acquireSlot waits for a slot for an upload, at most for the config's timeout.
func (b *backend) acquireSlot(ctx context.Context) error {
	timeout := time.NewTimer(b.config.Timeout)
	defer timeout.Stop()
	select {
	case b.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return &sdk.Error{
			Code:    sdk.CodeUnavailable,
			Message: "too many uploads to S3 are in progress; try again later", Retryable: true,
		}
	}
}

// create calls S3 to create an upload or an object. The end of ctx does not interrupt the
// request, because its outcome would be unknown. A Delete of the key waits for it.
func (u *upload) create(ctx context.Context, call string, do func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	return u.put.create(func() error {
		return u.b.retry(ctx, call, func() error { return do(ctx) })
	})
}

// commit creates the object.
func (u *upload) commit(ctx context.Context, do func(ctx context.Context) error) error {
	return u.create(ctx, "put", func(ctx context.Context) error {
		err := do(ctx)
		// The object may exist if the response was lost, also that to an earlier attempt.
		if err != nil && (status(err) == 0 || hasCode(err, minio.NoSuchUpload)) && u.isCommitted(ctx) {
			return nil
		}
		return err
	})
}

// isCommitted reports whether the object was created although the request failed.
func (u *upload) isCommitted(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	info, err := u.b.s3.StatObject(ctx, u.b.config.Bucket, u.name, minio.StatObjectOptions{})
	return err == nil && info.UserMetadata[putIDHeader] == u.putID
}

// abort removes the parts of a failed upload. If that fails, a Delete of the key removes
// them.
func (u *upload) abort(ctx context.Context) {
	if u.id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if err := u.b.abortUpload(ctx, u.name, u.id); err != nil {
		slog.WarnContext(ctx, "could not abort upload; it remains until its key is deleted", "error", err)
	}
}
