package main

import (
	"errors"
	"io"
	"sync"
)

// firstBuffer is what an upload begins with, in bytes: most files are small.
const firstBuffer = 128 << 10

// buffers lends buffers of a part's size.
type buffers struct {
	size int
	pool sync.Pool
}

func (b *buffers) get(size int) []byte {
	if size != b.size {
		return make([]byte, 0, size)
	}
	if buf, ok := b.pool.Get().(*[]byte); ok {
		return (*buf)[:0]
	}
	return make([]byte, 0, size)
}

// put takes a buffer back.
func (b *buffers) put(buf []byte) {
	if cap(buf) == b.size {
		b.pool.Put(&buf)
	}
}

// grow gives a buffer of twice the size, and of limit at the most.
func (b *buffers) grow(buf []byte, limit int) []byte {
	bigger := append(b.get(min(2*cap(buf), limit)), buf...)
	b.put(buf)
	return bigger
}

// cutter cuts what a reader gives into parts.
type cutter struct {
	r io.Reader
	// size is that of a part; the last one has less or as much.
	size    int
	buffers *buffers
	// seen is given all bytes as they come, and may end the upload.
	seen func([]byte) error
	// ahead is the byte that told that a part is not the last.
	ahead []byte
	first bool
}

// next gives a part, which is the caller's to put back, and says whether it is
// the last. An error of the reader comes as it is.
func (c *cutter) next() (part []byte, last bool, err error) {
	start := c.size
	if c.first {
		start, c.first = min(firstBuffer, c.size), false
	}
	part = append(c.buffers.get(start), c.ahead...)
	c.ahead = nil
	defer func() {
		if err != nil {
			c.buffers.put(part)
			part = nil
		}
	}()
	one := make([]byte, 1)
	for {
		if len(part) == cap(part) && cap(part) < c.size {
			part = c.buffers.grow(part, c.size)
		}
		room := part[len(part):cap(part)]
		if len(room) == 0 {
			room = one
		}
		n, err := c.read(room)
		switch {
		case err == nil && len(part) == cap(part):
			c.ahead = room[:n]
			return part, false, nil
		case errors.Is(err, errEnd):
			return part, true, nil
		case err != nil:
			return part, false, err
		}
		part = part[:len(part)+n]
	}
}

// errEnd is the end of the bytes: io.EOF of the reader, but not one that it wraps.
var errEnd = errors.New("end")

// read gives at least a byte, or an error.
func (c *cutter) read(p []byte) (int, error) {
	for range 100 {
		n, err := c.r.Read(p)
		if n > 0 {
			// An error comes again with the next Read.
			return n, c.seen(p[:n])
		}
		if err == io.EOF { //nolint:errorlint // a wrapped one is a failure of r
			return 0, errEnd
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}
