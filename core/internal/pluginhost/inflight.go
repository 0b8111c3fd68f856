package pluginhost

import (
	"context"
	"sync"
)

// inflight counts the calls of a plugin that are under way. Once it is retired
// none begins any more: from then on the count only falls, and when it is zero
// it stays so.
type inflight struct {
	// retired closes when the plugin is retired.
	retired chan struct{}

	mu   sync.Mutex
	n    int
	idle chan struct{}
}

func newInflight() *inflight { return &inflight{retired: make(chan struct{})} }

// begin counts a call, unless the plugin is retired.
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

// retire lets no call begin any more.
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

// drain waits until no call is under way, and gives how many are when ctx ends.
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
