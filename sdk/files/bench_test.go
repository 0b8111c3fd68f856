package files_test

import (
	"context"
	"io"
	"testing"

	"github.com/agentarea/agentarea/sdk/files"
)

// benchSize is the size of the object in bytes.
const benchSize = 64 << 20

// zeros returns a reader of n zero bytes.
func zeros(n int64) io.Reader {
	return io.LimitReader(readFunc(func(p []byte) (int, error) { return len(p), nil }), n)
}

// BenchmarkPut measures a Put over gRPC to a backend that discards the content.
func BenchmarkPut(b *testing.B) {
	m := newMemory()
	m.put = func(_ context.Context, r io.Reader) (*files.Stored, error) {
		n, err := io.Copy(io.Discard, r)
		return &files.Stored{Size: n}, err
	}
	c := reach(b, m)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Put(b.Context(), "k", zeros(benchSize), files.PutOptions{Size: benchSize}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGet measures a Get over gRPC.
func BenchmarkGet(b *testing.B) {
	m := newMemory()
	m.get = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(zeros(benchSize)), nil }
	c := reach(b, m)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		r, err := c.Get(b.Context(), "k", 0, 0)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); n != benchSize || err != nil {
			b.Fatal(n, err)
		}
		_ = r.Close()
	}
}
