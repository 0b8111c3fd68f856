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
	// maxUploads bounds the memory: each has up to two parts in it.
	maxUploads = 32
	// makeTime is how long S3 may take to make an object of what it has got, as
	// long as the connection is not silent.
	makeTime = 5 * time.Minute
	// cleanTime is how long a Put that has failed may take to look after it.
	cleanTime = 2 * time.Second
	// markHeader is metadata of an object that names the Put that made it.
	markHeader = "Agentarea-Put"
)

// Put implements files.Backend. S3 makes an object at once or not at all: of one
// request for a small file, of the request that completes an upload for others.
func (b *backend) Put(ctx context.Context, key string, r io.Reader, o files.PutOptions) (*files.Stored, error) {
	if err := b.begin(ctx); err != nil {
		return nil, err
	}
	defer func() { <-b.slots }()
	name := b.name(key)
	p := b.puts.begin(name)
	defer p.end()
	contentType := o.ContentType
	if _, _, err := mime.ParseMediaType(contentType); err != nil {
		contentType = "application/octet-stream"
	}
	mark := rand.Text()
	u := &upload{b: b, put: p, name: name, mark: mark, sum: sha256.New(), options: minio.PutObjectOptions{
		ContentType: contentType, UserMetadata: map[string]string{markHeader: mark}, DisableContentSha256: true,
	}}
	if err := u.run(ctx, r, o.Size); err != nil {
		u.abort(ctx)
		return nil, err
	}
	return &files.Stored{Size: u.size, SHA256: [sha256.Size]byte(u.sum.Sum(nil))}, nil
}

// begin waits for a slot.
func (b *backend) begin(ctx context.Context) error {
	patience := time.NewTimer(b.config.Timeout)
	defer patience.Stop()
	select {
	case b.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: "too many uploads to S3 are under way; try again later", Retryable: true}
	}
}

// make calls S3 to make an upload or an object. The end of ctx does not stop it
// half-way, when nobody would know the outcome: a Delete of the key waits for it.
func (u *upload) make(ctx context.Context, what string, call func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), makeTime)
	defer cancel()
	return u.put.make(func() error {
		return u.b.try(ctx, what, func() error { return call(ctx) })
	})
}

// commit makes the object.
func (u *upload) commit(ctx context.Context, call func(ctx context.Context) error) error {
	return u.make(ctx, "put", func(ctx context.Context) error {
		err := call(ctx)
		// Without an answer, or with that to a second try, it may be there.
		if err != nil && (status(err) == 0 || hasCode(err, minio.NoSuchUpload)) && u.landed(ctx) {
			return nil
		}
		return err
	})
}

// landed says that the object was made after all, and only the answer was lost.
func (u *upload) landed(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, cleanTime)
	defer cancel()
	info, err := u.b.s3.StatObject(ctx, u.b.config.Bucket, u.name, minio.StatObjectOptions{})
	return err == nil && info.UserMetadata[markHeader] == u.mark
}

// abort removes what there is of an upload that failed. If it can't, the key's
// Delete does.
func (u *upload) abort(ctx context.Context) {
	if u.id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	if err := u.b.abortUpload(ctx, u.name, u.id); err != nil {
		slog.WarnContext(ctx, "an upload is left until its key is deleted", "error", err)
	}
}
