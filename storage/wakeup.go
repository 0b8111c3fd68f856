package storage

import (
	"context"
	"sync"

	"github.com/agentarea/agentarea/core"
)

// wakeups calls those who want to know of commits.
type wakeups struct {
	mu          sync.Mutex
	last        int
	subscribers map[int]func(core.Wakeup)
}

// Subscribe implements core.Wakeups.
func (db *DB) Subscribe(f func(core.Wakeup)) (stop func()) {
	s := db.wakeups
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

func (s *wakeups) raise(all []core.Wakeup) {
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

// wakeup has one raised, once, when the transaction is committed.
func (t *tx) wakeup(s core.Wakeup) {
	for _, there := range t.wakeups {
		if there == s {
			return
		}
	}
	t.wakeups = append(t.wakeups, s)
}

// tell has the other servers know what the transaction wakeups.
func (c *committer) tell() error {
	if len(c.conn.wakeups) == 0 {
		return nil
	}
	return c.dialect.tell(context.Background(), c.conn)
}
