package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/agentarea/agentarea/core"
)

// hashing has the minimum parameters that OWASP recommends for argon2id: 19 MiB, two passes, one lane.
var hashing = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// maxWaiting is the maximum number of callers that wait for a hash slot.
const maxWaiting = 64

// passwords hashes and verifies passwords. It limits concurrency, because each hash uses 19 MiB and
// a core.
type passwords struct {
	slots   chan struct{}
	waiting atomic.Int64
	// dummy is verified for unknown users, so that the duration does not reveal them.
	dummy string
}

func newPasswords() (*passwords, error) {
	dummy, err := argon2id.CreateHash(rand.Text(), hashing)
	if err != nil {
		return nil, fmt.Errorf("hash a password: %w", err)
	}
	return &passwords{slots: make(chan struct{}, 2*runtime.GOMAXPROCS(0)), dummy: dummy}, nil
}

// acquire waits for a slot. The caller must call release. It fails with Unavailable if too many
// callers wait.
func (p *passwords) acquire(ctx context.Context) error {
	if p.waiting.Add(1) > maxWaiting {
		p.waiting.Add(-1)
		return &core.Error{
			Code: core.CodeUnavailable, Message: "Too many concurrent sign-ins. Try again in a moment.", RetryAfter: time.Second,
		}
	}
	defer p.waiting.Add(-1)
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// release frees a slot. When no slot is in use it returns the memory to the operating system,
// because the runtime would keep 19 MiB per hash for minutes.
func (p *passwords) release() {
	<-p.slots
	if len(p.slots) == 0 {
		go debug.FreeOSMemory()
	}
}

// hash returns the argon2id hash of a password.
func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	if err := p.acquire(ctx); err != nil {
		return "", err
	}
	defer p.release()
	h, err := argon2id.CreateHash(password, hashing)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return h, nil
}

// matches reports whether a password matches a hash. An empty hash never matches, and takes as
// long.
func (p *passwords) matches(ctx context.Context, password, hash string) (bool, error) {
	if err := p.acquire(ctx); err != nil {
		return false, err
	}
	defer p.release()
	against := hash
	if against == "" {
		against = p.dummy
	}
	ok, err := argon2id.ComparePasswordAndHash(password, against)
	if err != nil {
		return false, fmt.Errorf("compare a password: %w", err)
	}
	return ok && hash != "", nil
}
