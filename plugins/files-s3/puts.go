package main

import (
	"context"
	"sync"

	"github.com/agentarea/agentarea/sdk"
)

// puts knows the Puts that are under way, by the names of their objects, so that
// none makes an object that was deleted meanwhile. The zero value has none.
type puts struct {
	mu     sync.Mutex
	byName map[string]map[*put]bool
}

// put is one of them.
type put struct {
	of   *puts
	name string
	// stopped says that the key was deleted; committing, that the object is being
	// made, until done is closed.
	stopped, committing bool
	done                chan struct{}
}

func (p *puts) begin(name string) *put {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := &put{of: p, name: name, done: make(chan struct{})}
	if p.byName == nil {
		p.byName = map[string]map[*put]bool{}
	}
	if p.byName[name] == nil {
		p.byName[name] = map[*put]bool{}
	}
	p.byName[name][one] = true
	return one
}

// commit asks whether the object may be made. From then on Delete waits for end.
func (p *put) commit() error {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	if p.stopped {
		return errDeleted()
	}
	p.committing = true
	return nil
}

func (p *put) end() {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	close(p.done)
	delete(p.of.byName[p.name], p)
	if len(p.of.byName[p.name]) == 0 {
		delete(p.of.byName, p.name)
	}
}

// deleted says that the key was.
func (p *put) deleted() bool {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	return p.stopped
}

// stop keeps the Puts of an object from making it, and waits for those that are
// about to.
func (p *puts) stop(ctx context.Context, name string) error {
	p.mu.Lock()
	var committing []*put
	for one := range p.byName[name] {
		one.stopped = true
		if one.committing {
			committing = append(committing, one)
		}
	}
	p.mu.Unlock()
	for _, one := range committing {
		select {
		case <-one.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func errDeleted() error {
	return &sdk.Error{Code: sdk.CodeCancelled, Message: "the key was deleted while it was put"}
}
