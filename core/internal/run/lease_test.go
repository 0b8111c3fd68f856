package run_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run"
)

// leaseStore records when an engine renews its lease and looks for runs without a live owner.
type leaseStore struct {
	core.RunStore
	mu       sync.Mutex
	until    time.Time
	searches []time.Time
}

func (s *leaseStore) RenewLease(_ context.Context, _ string, until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = until
	return nil
}

func (s *leaseStore) ClaimRuns(_ context.Context, _ string, now time.Time, _ int) ([]*core.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.searches = append(s.searches, now)
	return nil, nil
}

func (s *leaseStore) CancelRequests(context.Context, string) ([]string, error) { return nil, nil }
func (s *leaseStore) ReleaseLease(context.Context, string) error               { return nil }

// lease returns the time until which the lease lasts, and the number of searches.
func (s *leaseStore) lease() (until time.Time, searches int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.until, len(s.searches)
}

// A run of a server that was killed is taken over within 30 seconds: its lease lasts for 20 s at most, and the
// other servers look for such runs every 5 s. A live server renews its lease long before it expires.
func TestLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &leaseStore{}
		e := run.New(run.Options{Runs: store, Logger: slog.New(slog.DiscardHandler), Owner: "process-1"})
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := 0
		for range 20 {
			until, searches := store.lease()
			if left := time.Until(until); left < 15*time.Second || left > 20*time.Second {
				t.Errorf("the lease lasts %s more, want 15s to 20s", left)
			}
			if searches == before {
				t.Errorf("the server did not look for runs without an owner in the last 5s")
			}
			before = searches
			time.Sleep(5*time.Second + time.Millisecond)
		}
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
