package run

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// activeRuns holds the runs that this server executes, and counts the work in progress.
// Its methods may be called concurrently.
type activeRuns struct {
	mu       sync.Mutex
	byID     map[string]*execution
	draining bool
	work     sync.WaitGroup
}

// admit counts the caller as work in progress, until the caller calls release. It returns
// false when the server is draining.
func (a *activeRuns) admit() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.draining {
		return false
	}
	a.work.Add(1)
	return true
}

// release undoes admit.
func (a *activeRuns) release() { a.work.Done() }

// start runs do in a goroutine that counts as work in progress. The caller must be
// admitted, or be work in progress itself.
func (a *activeRuns) start(do func()) { a.work.Go(do) }

// drain makes admit return false from now on.
func (a *activeRuns) drain() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.draining = true
}

// wait waits for the work in progress.
func (a *activeRuns) wait() { a.work.Wait() }

func (a *activeRuns) add(x *execution) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.byID[x.run.ID] = x
}

func (a *activeRuns) remove(x *execution) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.byID, x.run.ID)
}

// find returns the run with that ID, or nil if this server does not execute it.
func (a *activeRuns) find(id string) *execution {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.byID[id]
}

// all returns the runs that this server executes.
func (a *activeRuns) all() []*execution {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Values(a.byID))
}

// cancel cancels the run with that ID if this server executes it. It does not wait.
func (a *activeRuns) cancel(id string) {
	if x := a.find(id); x != nil {
		x.settler.stop(errCancelled)
	}
}

// cancelAndWait cancels a run and waits until it is settled. It does nothing if this server
// does not execute the run.
func (a *activeRuns) cancelAndWait(ctx context.Context, runID string) error {
	x := a.find(runID)
	if x == nil {
		return nil
	}
	x.settler.stop(errCancelled)
	select {
	case <-x.settler.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
