package plugintest

import (
	"errors"
	"io"
	"math/rand/v2"
)

// noise returns n random bytes, which cannot be compressed. Equal seeds lead to equal bytes.
func noise(seed byte, n int) []byte {
	b, _ := io.ReadAll(stream(seed, int64(n)))
	return b
}

// stream returns a reader of the bytes of noise.
func stream(seed byte, n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n)
}

var errInterrupted = errors.New("the test interrupts this Put")

// tap is a reader that calls the function when it is read.
type tap func() error

func (f tap) Read([]byte) (int, error) { return 0, f() }
