package files

import (
	"errors"
	"io"

	"github.com/agentarea/agentarea/sdk"
)

// counted tells how many bytes were read of a file that is moved.
type counted struct {
	io.Reader
	count func(int64)
}

// Read implements io.Reader. That a file has no bytes is errMissing.
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
