package archive

import (
	"crypto/sha256"
	"testing"
)

// withChecksum returns content with the last entry replaced by one with the right checksum.
func withChecksum(t *testing.T, content []byte) []byte {
	t.Helper()
	if len(content) >= tailSize {
		content = content[:len(content)-tailSize]
	}
	sum := sha256.Sum256(content)
	end, err := tail(sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return append(content[:len(content):len(content)], end...)
}
