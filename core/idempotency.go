package core

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"
)

// IdempotencyKeyTTL is the time for which an idempotency key refers to its request.
const IdempotencyKeyTTL = 24 * time.Hour

// IdempotencyKey marks a request that a client may send repeatedly and that takes effect once. The write that makes
// the request's change stores the key in its transaction.
type IdempotencyKey struct {
	// UserID and Key identify the request. Each user has keys of their own.
	UserID, Key string
	// Hash detects that the key is used for a different request.
	Hash []byte
	// Object is the ID of the object that the request creates or changes. If it is empty, it is the target of the
	// audit record.
	Object string
}

// AddToHash adds data to the hash of the key. It does nothing for a request without a key.
func (r *AuditRecord) AddToHash(data ...string) {
	if r == nil || r.Key == nil {
		return
	}
	h := sha256.New()
	h.Write(r.Key.Hash)
	for _, d := range data {
		sum := sha256.Sum256([]byte(d))
		h.Write(sum[:])
	}
	r.Key.Hash = h.Sum(nil)
}

// RepeatedRequest is the error of a write that made no change, because an earlier request of the user had the same
// idempotency key.
type RepeatedRequest struct {
	// Object is the ID of the object that the earlier request created or changed.
	Object string
	// Different reports whether the earlier request was a different one.
	Different bool
}

func (e *RepeatedRequest) Error() string {
	return fmt.Sprintf("an earlier request with the same idempotency key has changed %q", e.Object)
}

// IdempotencyKeyStore finds idempotency keys. The writes of other stores add them: a write with an AuditRecord that
// has a key fails with *RepeatedRequest if the key was used within IdempotencyKeyTTL, and changes nothing.
type IdempotencyKeyStore interface {
	// FindKey returns the earlier request that used the key within IdempotencyKeyTTL, or nil.
	FindKey(ctx context.Context, k *IdempotencyKey) (*RepeatedRequest, error)
	// StoreKey adds the key of a request that has changed nothing in the database. It fails as a write with the
	// key does.
	StoreKey(ctx context.Context, k *IdempotencyKey) error
}
