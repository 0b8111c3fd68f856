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
	// patience is how long a request waits for the shared counter, and pause for how
	// long nobody asks it after it failed.
	patience = time.Second
	pause    = 2 * time.Second
	// sweepEvery is how often keys that are over are deleted, sweepRows at once.
	sweepEvery = time.Minute
	sweepRows  = 1000
)

// Shared counts in a store, for all servers on it, and in memory while the store
// does not answer. It remembers what the store said: whom that refuses is refused
// here until the window is over, so that a flood does not reach the database.
type Shared struct {
	store  core.RateStore
	known  *Memory
	logger *slog.Logger
	// clock is how long it runs, whatever is done to the machine's time.
	clock func() time.Duration
	// askAgain is when on it the store may be asked again; 0 while it answers.
	askAgain atomic.Int64
	stop     context.CancelFunc
	swept    sync.WaitGroup
}

// NewShared makes one that sweeps the store until Close.
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

// Close ends the sweeping.
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
	if !s.ask(ctx, func(ctx context.Context) (err error) {
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
	s.ask(ctx, func(ctx context.Context) error { return s.store.RefundRate(ctx, key) })
	return s.known.RefundRate(ctx, key)
}

// ResetRate implements core.RateCounter. It never fails.
func (s *Shared) ResetRate(ctx context.Context, key string) error {
	s.ask(ctx, func(ctx context.Context) error { return s.store.ResetRate(ctx, key) })
	return s.known.ResetRate(ctx, key)
}

func (s *Shared) look(key string) core.Rate { return s.known.look(key) }

// ask says whether the store has answered. Of those who come when it was down, one
// finds out whether it is back. A client that leaves is no failure of the store's.
func (s *Shared) ask(ctx context.Context, question func(context.Context) error) bool {
	if at := s.askAgain.Load(); at != 0 {
		now := s.clock()
		if int64(now) < at || !s.askAgain.CompareAndSwap(at, int64(now+pause)) {
			return false
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err := question(ctx)
	if err == nil {
		if s.askAgain.Swap(0) != 0 {
			s.logger.InfoContext(ctx, "rate limits are shared with the other servers again")
		}
		return true
	}
	if s.askAgain.Swap(int64(s.clock()+pause)) == 0 {
		s.logger.WarnContext(ctx, "rate limits are not shared with the other servers: this one counts for itself meanwhile", "error", err)
	}
	return false
}

func (s *Shared) sweep(ctx context.Context) {
	for {
		select {
		case <-time.After(sweepEvery):
		case <-ctx.Done():
			return
		}
		for n := sweepRows; n == sweepRows && ctx.Err() == nil; {
			var err error
			if n, err = s.store.DeleteRates(ctx, sweepRows); err != nil && ctx.Err() == nil {
				s.logger.WarnContext(ctx, "old rate counts not deleted: trying again later", "error", err)
			}
		}
	}
}
