package files

import (
	"errors"
	"io"

	"github.com/agentarea/agentarea/sdk"
)

// counted is a reader that reports the number of bytes read. It is used for moves.
type counted struct {
	io.Reader
	count func(int64)
}

// Read implements io.Reader. It returns errMissing if the backend does not have the blob.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if n > 0 {
		c.count(int64(n))
	}
	var e *sdk.Error
	if errors.As(err, &e) && e.Code == sdk.CodeNotFound {
		err = errors.Join(errMissing, err)
	}
	return n, err
}
