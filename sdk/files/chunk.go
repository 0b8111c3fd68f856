package files

import (
	"io"
	"sync"
)

// chunk is the size of a message's bytes, and the largest that the protocol has:
// half of it costs a tenth more of the processor.
const chunk = 1 << 20

// buffers are of chunk bytes.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, chunk)
	return &b
}}

// fill reads until buf is half full, so that small reads share a message and a
// slow reader's bytes need not wait for a whole one. err is r's own, after the n
// bytes: io.ReadAtLeast would not tell r's end from io.ErrUnexpectedEOF of r.
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

// each gives send the chunks of r, until r ends, r fails (rerr) or send does (serr).
// Of what came just before r's failure, up to half a chunk is dropped.
func each(r io.Reader, send func([]byte) error) (rerr, serr error) {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	for {
		n, err := fill(r, *b)
		end := err == io.EOF //nolint:errorlint // a wrapped one is a failure of r
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
