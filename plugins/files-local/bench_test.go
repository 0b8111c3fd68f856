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

// benchSize is the size of a large file, in bytes.
const benchSize = 100 << 20

// data is a reader of the given number of bytes. It repeats a block of 8 MiB.
type data struct{ remaining int }

var block = bytes.Repeat([]byte("0123456789abcdef"), 8<<20/16)

func (d *data) Read(p []byte) (int, error) {
	if d.remaining == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), d.remaining)], block)
	d.remaining -= n
	return n, nil
}

// BenchmarkPut writes a large file: directly to a file, to the backend, and to the backend
// in a plugin process over mutual TLS.
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
		// The struct hides ReadFrom, which reads in smaller pieces.
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

// BenchmarkGet reads a large file from the page cache through the plugin process.
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

// BenchmarkPutSmall writes files of 1 KiB. It measures the cost of the syncs.
func BenchmarkPutSmall(b *testing.B) {
	backend := open(b)
	for b.Loop() {
		if _, err := backend.Put(b.Context(), "k", &data{1 << 10}, files.PutOptions{Size: 1 << 10}); err != nil {
			b.Fatal(err)
		}
	}
}

// open returns a backend in a temporary folder.
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
