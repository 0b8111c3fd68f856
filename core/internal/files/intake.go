package files

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"

	"github.com/gabriel-vasile/mimetype"
)

// headSize is how many bytes tell what a file is.
const headSize = 3072

// intake reads bytes on their way to a backend: it counts and hashes them, and
// fails past a limit.
type intake struct {
	src io.Reader
	// limit is the most bytes, and over the error past it.
	limit int64
	over  error

	// head is what was read ahead.
	head        []byte
	contentType string
	size        int64
	hash        hash.Hash
	// ended is set when src has no more, and err when it failed: then the fault
	// is not the backend's.
	ended bool
	err   error
}

func newIntake(src io.Reader, limit int64, over error) *intake {
	return &intake{src: src, limit: limit, over: over, hash: sha256.New()}
}

// peek reads ahead, and tells by the first bytes what the content is.
func (in *intake) peek() error {
	head := make([]byte, headSize)
	n := 0
	for n < headSize && in.err == nil && !in.ended {
		m, err := in.src.Read(head[n:])
		n += m
		in.note(err)
	}
	in.head = head[:n]
	in.contentType = mimetype.Detect(in.head).String()
	if in.err == nil && int64(n) > in.limit {
		in.err = in.over
	}
	return in.err
}

func (in *intake) note(err error) {
	switch {
	case errors.Is(err, io.EOF):
		in.ended = true
	case err != nil:
		in.err = err
	}
}

// Read implements io.Reader.
func (in *intake) Read(p []byte) (int, error) {
	n := 0
	switch {
	case len(in.head) > 0:
		n = copy(p, in.head)
		in.head = in.head[n:]
	case in.err == nil && !in.ended:
		var err error
		n, err = in.src.Read(p)
		in.note(err)
	}
	in.size += int64(n)
	if in.err == nil && in.size > in.limit {
		in.err = in.over
	}
	if in.err != nil {
		return 0, in.err
	}
	_, _ = in.hash.Write(p[:n]) // never fails
	if n == 0 && in.ended {
		return 0, io.EOF
	}
	return n, nil
}

// sum is the SHA-256 of what was read.
func (in *intake) sum() [sha256.Size]byte { return [sha256.Size]byte(in.hash.Sum(nil)) }
