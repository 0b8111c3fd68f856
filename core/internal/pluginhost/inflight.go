package pluginhost

import (
	"context"
	"sync"
)

// inflight counts the active calls of a plugin. After retire, no call can begin, so the
// count only decreases and stays at zero once it is reached.
type inflight struct {
	// retired is closed by retire.
	retired chan struct{}

	mu   sync.Mutex
	n    int
	idle chan struct{}
}

func newInflight() *inflight { return &inflight{retired: make(chan struct{})} }

// begin counts a call. It returns false if the plugin is retired.
func (f *inflight) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isRetired() {
		return false
	}
	f.n++
	return true
}

func (f *inflight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.n == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// retire prevents further calls.
func (f *inflight) retire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.isRetired() {
		close(f.retired)
	}
}

func (f *inflight) isRetired() bool {
	select {
	case <-f.retired:
		return true
	default:
		return false
	}
}

// drain waits until no call is active or ctx ends. It returns the number of active calls.
func (f *inflight) drain(ctx context.Context) int {
	f.mu.Lock()
	if f.n == 0 {
		f.mu.Unlock()
		return 0
	}
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	idle := f.idle
	f.mu.Unlock()
	select {
	case <-idle:
		return 0
	case <-ctx.Done():
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.n
	}
}
