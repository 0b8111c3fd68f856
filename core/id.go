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

// NewID makes an id: the noun, a hyphen and 26 characters that sort by the time
// of making (to the nanosecond, ever rising within a process) and end in 64
// random bits.
func NewID(noun string) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], nextTick())
	_, _ = rand.Read(b[8:]) // never fails
	return noun + "-" + idEncoding.EncodeToString(b[:])
}

// DerivedID makes the id of something that is made at most once: the same at, to
// the nanosecond, and of give the same id. It sorts by at among those of NewID.
func DerivedID(noun string, at time.Time, of string) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(at.UnixNano()))
	sum := sha256.Sum256([]byte(of))
	copy(b[8:], sum[:])
	return noun + "-" + idEncoding.EncodeToString(b[:])
}

func nextTick() uint64 {
	for {
		last := lastID.Load()
		next := max(uint64(time.Now().UnixNano()), last+1)
		if lastID.CompareAndSwap(last, next) {
			return next
		}
	}
}
