package storage

import (
	"context"
	"sync"

	"github.com/agentarea/agentarea/core"
)

// signals calls those who want to know of commits.
type signals struct {
	mu          sync.Mutex
	last        int
	subscribers map[int]func(core.Signal)
}

// Subscribe implements core.Signals.
func (db *DB) Subscribe(f func(core.Signal)) (stop func()) {
	s := db.signals
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	id := s.last
	s.subscribers[id] = f
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subscribers, id)
	}
}

func (s *signals) raise(all []core.Signal) {
	if len(all) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.subscribers {
		for _, one := range all {
			f(one)
		}
	}
}

// signal has one raised, once, when the transaction is committed.
func (t *tx) signal(s core.Signal) {
	for _, there := range t.signals {
		if there == s {
			return
		}
	}
	t.signals = append(t.signals, s)
}

// tell has the other servers know what the transaction signals.
func (c *committer) tell() error {
	if len(c.conn.signals) == 0 {
		return nil
	}
	return c.dialect.tell(context.Background(), c.conn)
}
