package pluginhost

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

// The limits of the processes of a plugin that execute one call each.
const (
	maxIsolated       = 16
	maxIsolatedOfUser = 4
	// isolationWait is how long a call waits for a process of its own.
	isolationWait = 30 * time.Second
)

// isolation counts the processes of a plugin that execute one call each. Its zero value has none.
type isolation struct {
	mu     sync.Mutex
	total  int
	byUser map[string]int
	// released is closed and replaced when a process is released. It is nil if nobody waits.
	released chan struct{}
}

// acquire reserves a process for a call of the user. If the plugin or the user has the maximum, it waits until
// ctx ends and then returns false.
func (l *isolation) acquire(ctx context.Context, userID string) bool {
	for {
		released := l.tryAcquire(userID)
		if released == nil {
			return true
		}
		select {
		case <-released:
		case <-ctx.Done():
			return false
		}
	}
}

// tryAcquire reserves a process and returns nil, or returns a channel that is closed when a process is released.
func (l *isolation) tryAcquire(userID string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= maxIsolated || l.byUser[userID] >= maxIsolatedOfUser {
		if l.released == nil {
			l.released = make(chan struct{})
		}
		return l.released
	}
	if l.byUser == nil {
		l.byUser = map[string]int{}
	}
	l.total++
	l.byUser[userID]++
	return nil
}

// release returns a reservation.
func (l *isolation) release(userID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.byUser[userID]--; l.byUser[userID] == 0 {
		delete(l.byUser, userID)
	}
	if l.released != nil {
		close(l.released)
		l.released = nil
	}
}

// isolated selects a process of its own for a call. Its zero value selects the shared process.
type isolated struct {
	// userID is the user whose call it is. It is empty for the shared process.
	userID string
	// must refuses the call if no other process is available in time, instead of using the shared one.
	must bool
}

// begin works as Host.begin does, and starts a process for the call if the caller wants one. It may wait up to
// isolationWait for one.
func (o isolated) begin(ctx context.Context, h *Host, find lookup) (*instance, error) {
	for o.userID != "" {
		r := h.registry.Load()
		s, err := find(r)
		if err != nil {
			return nil, err
		}
		waiting, cancel := context.WithTimeout(ctx, isolationWait)
		acquired := s.isolation.acquire(waiting, o.userID)
		cancel()
		if !acquired {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if !o.must {
				break
			}
			return nil, core.Unavailable("Plugin %s executes few calls of this kind at once, because they crashed it. Try "+
				"again later.", s.block.Name())
		}
		i, err := h.launchForCall(ctx, s, func() { s.isolation.release(o.userID) })
		switch {
		case err == nil:
			return i, nil
		case !errors.Is(err, errRetired):
			return nil, err
		case h.registry.Load() == r: // retired by Close
			return nil, shuttingDown()
		}
	}
	return h.begin(ctx, find)
}

// launchForCall starts a process of a plugin for one call. The process stops and release is called when the
// call ends, or if launchForCall fails.
func (h *Host) launchForCall(ctx context.Context, s *supervisor, release func()) (*instance, error) {
	if !s.calls.begin() {
		release()
		return nil, errRetired
	}
	i, err := h.launch(ctx, s)
	if err != nil {
		release()
		s.calls.end()
		s.logger.ErrorContext(ctx, "cannot start a process for one call", "error", err)
		e := core.Unavailable("Plugin %s could not be started. Try again later.", s.block.Name())
		e.Err = err
		return nil, e
	}
	s.logger.InfoContext(ctx, "started a process for one call", "pid", i.proc.cmd.Process.Pid)
	i.active.Add(1)
	i.stopAfterCall = func() {
		_ = i.stop(context.WithoutCancel(ctx)) // it may have exited already
		release()
	}
	return i, nil
}

// Isolated returns the agent type for one run of the user in a process of its own. If none is available
// in time, the run is executed in the shared process, or refused with Unavailable if must is true.
func (r *agentRunner) Isolated(userID string, must bool) agent.Runner {
	return &agentRunner{host: r.host, find: r.find, isolated: isolated{userID, must}}
}

// Isolated returns the provider for one completion of the user in a process of its own. If none is
// available in time, the completion is executed in the shared process, or refused with Unavailable if must is
// true.
func (p *provider) Isolated(userID string, must bool) llm.Provider {
	return &provider{host: p.host, requested: p.requested, to: p.to, isolated: isolated{userID, must}}
}
