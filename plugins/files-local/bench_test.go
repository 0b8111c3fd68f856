package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
	"github.com/agentarea/agentarea/sdk/plugintest"
)

// benchSize is that of a large file, in bytes.
const benchSize = 100 << 20

// data is what the benchmarks write: 8 MiB, again and again.
type data struct{ left int }

var block = bytes.Repeat([]byte("0123456789abcdef"), 8<<20/16)

func (d *data) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), d.left)], block)
	d.left -= n
	return n, nil
}

// BenchmarkPut is a large file on its way to the disk: from memory to a file of
// one's own, to the backend, and to the backend in its process, over mutual TLS.
func BenchmarkPut(b *testing.B) {
	run := func(name string, put func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchSize)
			b.ReportAllocs()
			for b.Loop() {
				put(b)
			}
		})
	}
	dir := b.TempDir()
	run("file", func(b *testing.B) {
		f, err := os.Create(filepath.Join(dir, "f"))
		if err != nil {
			b.Fatal(err)
		}
		// Hidden, for ReadFrom reads in smaller pieces.
		_, err = io.CopyBuffer(struct{ io.Writer }{f}, &data{benchSize}, make([]byte, 512<<10))
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			b.Fatal(err)
		}
		_ = f.Close()
		_ = os.Remove(f.Name())
	})
	putTo := func(to files.Backend) func(*testing.B) {
		return func(b *testing.B) {
			if _, err := to.Put(b.Context(), "k", &data{benchSize}, files.PutOptions{Size: benchSize}); err != nil {
				b.Fatal(err)
			}
			if err := to.Delete(b.Context(), "k"); err != nil {
				b.Fatal(err)
			}
		}
	}
	run("backend", putTo(open(b)))
	run("process", putTo(files.NewClient(plugintest.Start(b, files.Kind, plugintest.Command{Path: build(b)}).Conn)))
}

// BenchmarkGet reads a large file, from the disk's cache, through the process.
func BenchmarkGet(b *testing.B) {
	c := files.NewClient(plugintest.Start(b, files.Kind, plugintest.Command{Path: build(b)}).Conn)
	if _, err := c.Put(b.Context(), "k", &data{benchSize}, files.PutOptions{Size: benchSize}); err != nil {
		b.Fatal(err)
	}
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

// BenchmarkPutSmall is a file of 1 KiB: what the disk's syncs cost.
func BenchmarkPutSmall(b *testing.B) {
	backend := open(b)
	for b.Loop() {
		if _, err := backend.Put(b.Context(), "k", &data{1 << 10}, files.PutOptions{Size: 1 << 10}); err != nil {
			b.Fatal(err)
		}
	}
}

// open makes a backend in a folder of the test's.
func open(tb testing.TB) *backend {
	tb.Helper()
	b := newBackend()
	b.config.Path = filepath.Join(tb.TempDir(), "files")
	if err := b.Configure(tb.Context(), sdk.Env{}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.root.Close() })
	return b
}
