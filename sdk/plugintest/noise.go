package plugintest

import (
	"errors"
	"io"
	"math/rand/v2"
)

// noise is n bytes that no compression makes smaller, the same for the same seed.
func noise(seed byte, n int) []byte {
	b, _ := io.ReadAll(stream(seed, int64(n)))
	return b
}

// stream gives the bytes of noise.
func stream(seed byte, n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n)
}

var errCut = errors.New("the reader of this Put was cut, as the test wants it")

// tap calls then when what comes before it was read.
type tap func() error

func (f tap) Read([]byte) (int, error) { return 0, f() }
