package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// startS3 starts the S3 server versitygw and creates a bucket.
func (r *fileRig) startS3(ctx context.Context, s *settings) error {
	if _, err := os.Stat(s.versitygw); err != nil {
		return fmt.Errorf("-versitygw: %w (make bench installs it)", err)
	}
	addr, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	root := filepath.Join(r.dir, "s3")
	if err := os.Mkdir(root, 0o700); err != nil {
		return err
	}
	p, err := start(r.dir, "versitygw", []string{"ROOT_ACCESS_KEY=bench", "ROOT_SECRET_KEY=" + password},
		s.versitygw, "--port", addr, "--region", "us-east-1", "--quiet", "--keep-alive", "posix", root)
	if err != nil {
		return err
	}
	r.procs = append(r.procs, p)
	r.s3, err = minio.New(addr, &minio.Options{
		Creds: credentials.NewStaticV4("bench", password, ""), Region: "us-east-1", BucketLookup: minio.BucketLookupPath,
	})
	if err != nil {
		return err
	}
	r.plugins = func(backend string) []byte {
		return fmt.Appendf(nil, filesHCL, backend, addr, bucket, "bench", password)
	}
	return p.await(ctx, func(ctx context.Context) error {
		return r.s3.MakeBucket(ctx, bucket, minio.MakeBucketOptions{})
	})
}
