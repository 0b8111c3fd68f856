package main

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/agentarea/agentarea/sdk"
)

// Get implements files.Backend with a single request.
func (b *backend) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	ranged := offset > 0 || length > 0
	var o minio.GetObjectOptions
	if ranged {
		last := int64(0) // to the end
		if length > 0 {
			last = offset + length - 1
			if last < offset {
				last = 1<<63 - 1
			}
		}
		if err := o.SetRange(offset, last); err != nil {
			return nil, b.publicError(ctx, "get", err)
		}
	}
	var body io.ReadCloser
	var size int64
	var header http.Header
	err := b.retry(ctx, "get", func() error {
		r, info, h, err := b.s3.GetObject(ctx, b.config.Bucket, b.name(key), o)
		if ranged && status(err) == http.StatusRequestedRangeNotSatisfiable {
			r, err = http.NoBody, nil
		}
		body, size, header = r, info.Size, h
		return err
	})
	if err != nil {
		return nil, err
	}
	if ranged && size > 0 && header.Get("Content-Range") == "" {
		body.Close()
		return nil, &sdk.Error{Code: sdk.CodeInternal, Message: "S3 returned the whole object for a range request"}
	}
	return &reader{ctx: ctx, b: b, body: body}, nil
}

// reader reads an object and translates its errors.
type reader struct {
	//nolint:containedctx // distinguishes the end of the call from an error of S3
	ctx  context.Context
	b    *backend
	body io.ReadCloser
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.b.publicError(r.ctx, "get", err)
	}
	return n, err
}

func (r *reader) Close() error { return r.body.Close() }
