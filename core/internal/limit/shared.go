package limit

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentarea/agentarea/core"
)

const (
	// storeTimeout bounds the time that a request waits for the store.
	storeTimeout = time.Second
	// retryInterval is the time between two calls of a store that fails.
	retryInterval = 2 * time.Second
	// sweepInterval is the time between two deletions of old keys, sweepRows the size of a batch.
	sweepInterval = time.Minute
	sweepRows     = 1000
)

// Shared counts in a store that all servers share, and in memory while the store does not answer. It
// remembers the rates of the store: a key that exceeds its limit is rejected without asking the store until
// its window ends, so that a flood of requests does not reach the database. It is safe for concurrent use.
type Shared struct {
	store  core.RateStore
	known  *Memory
	logger *slog.Logger
	// clock returns the time since the start. Changes of the system time do not affect it.
	clock func() time.Duration
	// retryAt is the time of clock at which the store may be called again, or 0 while it answers.
	retryAt atomic.Int64
	stop    context.CancelFunc
	swept   sync.WaitGroup
}

// NewShared returns a Shared that deletes old keys from the store until Close.
func NewShared(store core.RateStore, logger *slog.Logger) *Shared {
	ctx, stop := context.WithCancel(context.Background())
	start := time.Now()
	s := &Shared{
		store: store, known: NewMemory(nil), logger: logger, stop: stop,
		clock: func() time.Duration { return time.Since(start) },
	}
	s.swept.Go(func() { s.sweep(ctx) })
	return s
}

// Close stops the deletion of old keys.
func (s *Shared) Close() {
	s.stop()
	s.swept.Wait()
}

// TakeRate implements core.RateCounter. It never fails.
func (s *Shared) TakeRate(ctx context.Context, key string, l core.RateLimit) (core.Rate, error) {
	if r := s.known.look(key); r.RetryAfter(l) > 0 {
		return r, nil
	}
	var r core.Rate
	if !s.call(ctx, func(ctx context.Context) (err error) {
		r, err = s.store.TakeRate(ctx, key, l)
		return err
	}) {
		return s.known.TakeRate(ctx, key, l)
	}
	s.known.note(key, r)
	return r, nil
}

// RefundRate implements core.RateCounter. It never fails.
func (s *Shared) RefundRate(ctx context.Context, key string) error {
	s.call(ctx, func(ctx context.Context) error { return s.store.RefundRate(ctx, key) })
	return s.known.RefundRate(ctx, key)
}

// ResetRate implements core.RateCounter. It never fails.
func (s *Shared) ResetRate(ctx context.Context, key string) error {
	s.call(ctx, func(ctx context.Context) error { return s.store.ResetRate(ctx, key) })
	return s.known.ResetRate(ctx, key)
}

func (s *Shared) look(key string) core.Rate { return s.known.look(key) }

// call calls the store and reports whether it answered. While the store fails, one request in each
// retryInterval calls it. A client that disconnects does not count as a failure of the store.
func (s *Shared) call(ctx context.Context, do func(context.Context) error) bool {
	if at := s.retryAt.Load(); at != 0 {
		now := s.clock()
		if int64(now) < at || !s.retryAt.CompareAndSwap(at, int64(now+retryInterval)) {
			return false
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	err := do(ctx)
	if err == nil {
		if s.retryAt.Swap(0) != 0 {
			s.logger.InfoContext(ctx, "counting requests in the database again")
		}
		return true
	}
	if s.retryAt.Swap(int64(s.clock()+retryInterval)) == 0 {
		s.logger.WarnContext(ctx,
			"counting requests in the database failed; this server counts alone until the database answers", "error", err)
	}
	return false
}

// sweep deletes old keys until ctx is cancelled.
func (s *Shared) sweep(ctx context.Context) {
	for {
		select {
		case <-time.After(sweepInterval):
		case <-ctx.Done():
			return
		}
		for n := sweepRows; n == sweepRows && ctx.Err() == nil; {
			var err error
			if n, err = s.store.DeleteRates(ctx, sweepRows); err != nil && ctx.Err() == nil {
				s.logger.WarnContext(ctx, "deleting old rate counts failed; retrying later", "error", err)
			}
		}
	}
}
