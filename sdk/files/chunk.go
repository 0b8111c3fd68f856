package files

import (
	"io"
	"sync"
)

// chunk is the maximum size of the data in a message in bytes. It is the maximum that the protocol
// allows, because half of it costs about 10 % more CPU time.
const chunk = 1 << 20

// buffers is a pool of buffers of chunk bytes.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, chunk)
	return &b
}}

// fill reads until buf is at least half full. So small reads share a message, and the bytes of a slow
// reader do not wait for a full one. It returns the error of r after the n bytes. It does not use
// io.ReadAtLeast, which does not distinguish the end of r from an io.ErrUnexpectedEOF that r returns.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for idle := 0; n < len(buf)/2 && err == nil; {
		var m int
		m, err = r.Read(buf[n:])
		n += m
		if m > 0 {
			idle = 0
		} else if idle++; idle == 100 && err == nil {
			return n, io.ErrNoProgress
		}
	}
	return n, err
}

// sendChunks calls send with the chunks of r until r ends, r fails (readErr) or send fails (sendErr). If
// r fails, sendChunks drops the bytes that fill read together with the error.
func sendChunks(r io.Reader, send func([]byte) error) (readErr, sendErr error) {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	for {
		n, err := fill(r, *b)
		end := err == io.EOF //nolint:errorlint // a wrapped io.EOF is a failure of r
		if err != nil && !end {
			return err, nil
		}
		if n > 0 {
			if err := send((*b)[:n]); err != nil {
				return nil, err
			}
		}
		if end {
			return nil, nil
		}
	}
}
