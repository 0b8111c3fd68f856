package core

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"sync/atomic"
	"time"
)

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

var lastID atomic.Uint64

// NewID returns a new id: the noun, a hyphen and 26 characters. Ids sort by the time of their
// creation, in nanoseconds, and strictly increase within a process. The last 64 bits are random.
func NewID(noun string) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], nextTick())
	_, _ = rand.Read(b[8:]) // never fails
	return noun + "-" + idEncoding.EncodeToString(b[:])
}

// DerivedID returns an id for an object that must be created at most once. Equal times, to the
// nanosecond, and equal sources result in equal ids. The ids sort among those of NewID by at.
func DerivedID(noun string, at time.Time, source string) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(at.UnixNano()))
	sum := sha256.Sum256([]byte(source))
	copy(b[8:], sum[:])
	return noun + "-" + idEncoding.EncodeToString(b[:])
}

// nextTick returns the current time in nanoseconds, or one more than its last result if that is
// greater.
func nextTick() uint64 {
	for {
		last := lastID.Load()
		next := max(uint64(time.Now().UnixNano()), last+1)
		if lastID.CompareAndSwap(last, next) {
			return next
		}
	}
}
