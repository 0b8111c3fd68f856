package main

import (
	"hash"
	"os"
)

// flushEvery is how many bytes are written before the disk is told to begin with
// them: the sync at the end of a large file would take long for all of them.
const flushEvery = 8 << 20

// writer hashes what it writes.
type writer struct {
	file *os.File
	sum  hash.Hash
	// written and begun count bytes, begun those that the disk was told of.
	written, begun int64
	// err is the file's, which io.Copy would mix up with its reader's.
	err error
}

func (w *writer) Write(p []byte) (n int, err error) {
	n, w.err = w.file.Write(p)
	w.sum.Write(p[:n])
	w.written += int64(n)
	if w.written-w.begun >= flushEvery {
		beginWriting(w.file, w.begun, w.written-w.begun)
		w.begun = w.written
	}
	return n, w.err
}
