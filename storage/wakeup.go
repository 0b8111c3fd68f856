package storage

import (
	"context"
	"slices"
	"sync"

	"github.com/agentarea/agentarea/core"
)

// wakeups delivers wakeups to the subscribers in this process.
type wakeups struct {
	mu          sync.Mutex
	last        int
	subscribers map[int]func(core.Wakeup)
}

// Subscribe implements core.Wakeups.
func (db *DB) Subscribe(f func(core.Wakeup)) (stop func()) {
	w := db.wakeups
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	id := w.last
	w.subscribers[id] = f
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.subscribers, id)
	}
}

// deliver calls all subscribers with each wakeup.
func (w *wakeups) deliver(all []core.Wakeup) {
	if len(all) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.subscribers {
		for _, one := range all {
			f(one)
		}
	}
}

// wakeup adds a wakeup that is delivered when the transaction commits. It ignores duplicates.
func (t *tx) wakeup(w core.Wakeup) {
	if !slices.Contains(t.wakeups, w) {
		t.wakeups = append(t.wakeups, w)
	}
}

// notify sends the wakeups of the transaction to the other servers.
func (c *committer) notify() error {
	if len(c.conn.wakeups) == 0 {
		return nil
	}
	return c.dialect.notify(context.Background(), c.conn)
}
