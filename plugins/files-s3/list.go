package main

import (
	"context"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

// List implements files.Backend. S3's order is the order of the keys (see objectName).
func (b *backend) List(ctx context.Context, prefix, after string) iter.Seq2[files.Object, error] {
	return func(yield func(files.Object, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		last := ""
		if after != "" {
			last = b.name(after)
		}
		stopped := false
		err := b.retry(ctx, "list", func() error {
			objects := b.s3.ListObjectsIter(ctx, b.config.Bucket, minio.ListObjectsOptions{
				Prefix: b.config.Prefix + namePrefix(prefix), StartAfter: last, Recursive: true,
			})
			for o := range objects {
				if o.Err != nil {
					return o.Err
				}
				if o.Key <= last {
					return &sdk.Error{Code: sdk.CodeInternal, Message: "S3 did not list objects in the order of their names"}
				}
				last = o.Key
				key, ok := keyOf(strings.TrimPrefix(o.Key, b.config.Prefix))
				if !ok {
					continue // not written by this plugin
				}
				if !yield(files.Object{Key: key, Size: o.Size, Modified: o.LastModified.UTC()}, nil) {
					stopped = true
					return nil
				}
			}
			return ctx.Err()
		})
		if err != nil && !stopped {
			yield(files.Object{}, err)
		}
	}
}
