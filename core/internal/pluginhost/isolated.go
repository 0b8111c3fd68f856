package pluginhost

import (
	"context"
	"errors"
	"sync"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

// The limits of the processes of a plugin that execute one call each.
const (
	maxIsolated       = 16
	maxIsolatedOfUser = 4
)

// isolation counts the processes of a plugin that execute one call each. Its zero value has none.
type isolation struct {
	mu     sync.Mutex
	total  int
	byUser map[string]int
}

// acquire reserves a process. It returns false if the plugin or the user has the maximum.
func (l *isolation) acquire(userID string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= maxIsolated || l.byUser[userID] >= maxIsolatedOfUser {
		return false
	}
	if l.byUser == nil {
		l.byUser = map[string]int{}
	}
	l.total++
	l.byUser[userID]++
	return true
}

// release returns a reservation.
func (l *isolation) release(userID string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.byUser[userID]--; l.byUser[userID] == 0 {
		delete(l.byUser, userID)
	}
}

// beginIsolated starts a process for one call of the user. If the limits do not allow another process, it
// returns the shared one. It otherwise works as begin does.
func (h *Host) beginIsolated(ctx context.Context, find lookup, userID string) (*instance, error) {
	for {
		r := h.registry.Load()
		s, err := find(r)
		if err != nil {
			return nil, err
		}
		if !s.isolation.acquire(userID) {
			return h.begin(ctx, find)
		}
		release := func() { s.isolation.release(userID) }
		i, err := h.launchForCall(ctx, s, release)
		switch {
		case err == nil:
			return i, nil
		case !errors.Is(err, errRetired):
			return nil, err
		case h.registry.Load() == r: // retired by Close
			return nil, shuttingDown()
		}
	}
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

// Isolated returns the agent type for one run of the user, with a process of its own if the limits allow it.
func (r *agentRunner) Isolated(userID string) agent.Runner {
	isolated := *r
	isolated.begin = func(ctx context.Context) (*instance, error) {
		return r.host.beginIsolated(ctx, r.find, userID)
	}
	return &isolated
}

// Isolated returns the provider for one completion of the user, with a process of its own if the limits allow
// it.
func (p *provider) Isolated(userID string) llm.Provider {
	isolated := *p
	isolated.isolatedFor = userID
	return &isolated
}
