package files

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"

	"github.com/gabriel-vasile/mimetype"
)

// headSize is the number of bytes from which the content type is detected.
const headSize = 3072

// intake is a reader that counts and hashes the bytes of an upload, and fails over a limit.
type intake struct {
	src io.Reader
	// limit is the maximum number of bytes, and limitErr is the error for more.
	limit    int64
	limitErr error

	// head has the bytes that peek has read.
	head        []byte
	contentType string
	size        int64
	hash        hash.Hash
	// ended is set at the end of src, and err if src failed. An err is not the backend's fault.
	ended bool
	err   error
}

func newIntake(src io.Reader, limit int64, limitErr error) *intake {
	return &intake{src: src, limit: limit, limitErr: limitErr, hash: sha256.New()}
}

// peek reads the first bytes and detects the content type.
func (in *intake) peek() error {
	head := make([]byte, headSize)
	n := 0
	for n < headSize && in.err == nil && !in.ended {
		m, err := in.src.Read(head[n:])
		n += m
		in.recordError(err)
	}
	in.head = head[:n]
	in.contentType = mimetype.Detect(in.head).String()
	if in.err == nil && int64(n) > in.limit {
		in.err = in.limitErr
	}
	return in.err
}

func (in *intake) recordError(err error) {
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
		in.recordError(err)
	}
	in.size += int64(n)
	if in.err == nil && in.size > in.limit {
		in.err = in.limitErr
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

// sum returns the SHA-256 of the bytes read.
func (in *intake) sum() [sha256.Size]byte { return [sha256.Size]byte(in.hash.Sum(nil)) }
