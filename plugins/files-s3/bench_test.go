package main

import (
	"context"
	"io"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/agentarea/agentarea/sdk/files"
	"github.com/agentarea/agentarea/sdk/plugintest"
	"github.com/agentarea/agentarea/test/s3test"
)

// benchSize is the size of a large file, in bytes.
const benchSize = 100 * mib

// benchTargets runs a benchmark on a large file for each target: minio-go alone, the
// backend, and the backend in a plugin process over mutual TLS.
func benchTargets(
	b *testing.B,
	run func(b *testing.B, put func(context.Context) error, get func(context.Context) (io.ReadCloser, error)),
) {
	b.Helper()
	s := s3test.Start(b)
	bucket := s.NewBucket(b)
	b.Run("minio-go", func(b *testing.B) {
		run(b, func(ctx context.Context) error {
			_, err := s.Client.Client.PutObject(ctx, bucket, "bare", &data{benchSize}, benchSize,
				minio.PutObjectOptions{PartSize: 5 * mib})
			return err
		}, func(ctx context.Context) (io.ReadCloser, error) {
			r, _, _, err := s.Client.GetObject(ctx, bucket, "bare", minio.GetObjectOptions{})
			return r, err
		})
	})
	through := func(name string, to files.Backend) {
		b.Run(name, func(b *testing.B) {
			run(b, func(ctx context.Context) error {
				_, err := to.Put(ctx, "k", &data{benchSize}, files.PutOptions{Size: benchSize})
				return err
			}, func(ctx context.Context) (io.ReadCloser, error) { return to.Get(ctx, "k", 0, 0) })
		})
	}
	through("backend", open(b, configBlock(s, bucket, nil)))
	process := plugintest.Start(b, files.Kind, plugintest.Command{Path: build(b), Config: configBlock(s, bucket, nil)})
	through("process", files.NewClient(process.Conn))
}

func BenchmarkPut(b *testing.B) {
	benchTargets(b, func(b *testing.B, put func(context.Context) error, _ func(context.Context) (io.ReadCloser, error)) {
		b.SetBytes(benchSize)
		for b.Loop() {
			if err := put(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	benchTargets(b, func(b *testing.B, put func(context.Context) error, get func(context.Context) (io.ReadCloser, error)) {
		if err := put(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(benchSize)
		for b.Loop() {
			r, err := get(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, r); n != benchSize || err != nil {
				b.Fatal(n, err)
			}
			_ = r.Close()
		}
	})
}
