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

// hashing is what OWASP asks of argon2id at least: 19 MiB, two passes, one lane.
var hashing = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// maxWaiting is how many may wait for their turn to hash.
const maxWaiting = 64

// passwords hashes and compares, a few at a time: each takes 19 MiB and a core.
type passwords struct {
	slots   chan struct{}
	waiting atomic.Int64
	// dummy is compared with when there is no user, so that it takes as long.
	dummy string
}

func newPasswords() (*passwords, error) {
	dummy, err := argon2id.CreateHash(rand.Text(), hashing)
	if err != nil {
		return nil, fmt.Errorf("hash a password: %w", err)
	}
	return &passwords{slots: make(chan struct{}, 2*runtime.GOMAXPROCS(0)), dummy: dummy}, nil
}

// enter waits for a slot; the caller gives it back by leave.
func (p *passwords) enter(ctx context.Context) error {
	if p.waiting.Add(1) > maxWaiting {
		p.waiting.Add(-1)
		return &core.Error{
			Code: core.CodeUnavailable, Message: "Too many sign-ins at once: try again in a moment", RetryAfter: time.Second,
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

// leave gives the slot back. The last one out returns the memory to the system,
// which the runtime else keeps for minutes: 19 MiB a hash are much to an idle server.
func (p *passwords) leave() {
	<-p.slots
	if len(p.slots) == 0 {
		go debug.FreeOSMemory()
	}
}

func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	if err := p.enter(ctx); err != nil {
		return "", err
	}
	defer p.leave()
	h, err := argon2id.CreateHash(password, hashing)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return h, nil
}

// matches compares a password with a hash; an empty hash takes as long and never matches.
func (p *passwords) matches(ctx context.Context, password, hash string) (bool, error) {
	if err := p.enter(ctx); err != nil {
		return false, err
	}
	defer p.leave()
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
