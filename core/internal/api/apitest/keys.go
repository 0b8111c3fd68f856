package apitest

import (
	"bytes"
	"context"
	"sync"

	"github.com/agentarea/agentarea/core"
)

// keys is an api.KeyStore in memory. The fakes of stores store no keys, so it remembers each key that was looked up. A
// key counts as used once the API has set its object, which it does when the request has succeeded.
type keys struct {
	mu  sync.Mutex
	all []*core.IdempotencyKey
}

// FindKey implements api.KeyStore.
func (s *keys) FindKey(_ context.Context, k *core.IdempotencyKey) (*core.RepeatedRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, earlier := range s.all {
		if earlier.UserID == k.UserID && earlier.Key == k.Key && earlier.Object != "" {
			return &core.RepeatedRequest{Object: earlier.Object, Different: !bytes.Equal(earlier.Hash, k.Hash)}, nil
		}
	}
	s.all = append(s.all, k)
	return nil, nil //nolint:nilnil // the key is new
}

// StoreKey implements api.KeyStore.
func (*keys) StoreKey(context.Context, *core.IdempotencyKey) error { return nil }
