package main

import (
	"hash"
	"os"
)

// flushEvery is the number of bytes that are written between two requests to start writing them to
// the disk. Otherwise the sync at the end of a large file would take long.
const flushEvery = 8 << 20

// partWriter writes to a file and computes the hash of the written bytes.
type partWriter struct {
	file *os.File
	sum  hash.Hash
	// written counts all bytes; flushed counts those before the last startFlush.
	written, flushed int64
	// err is the error of the file. io.Copy does not distinguish it from an error of the
	// reader.
	err error
}

func (w *partWriter) Write(p []byte) (n int, err error) {
	n, w.err = w.file.Write(p)
	w.sum.Write(p[:n])
	w.written += int64(n)
	if w.written-w.flushed >= flushEvery {
		startFlush(w.file, w.flushed, w.written-w.flushed)
		w.flushed = w.written
	}
	return n, w.err
}
