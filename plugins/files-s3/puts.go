package main

import (
	"context"
	"sync"

	"github.com/agentarea/agentarea/sdk"
)

// puts knows the Puts that are under way, so that none leaves anything of a key
// that was deleted meanwhile. The zero value has none.
type puts struct {
	mu  sync.Mutex
	all map[*put]bool
}

// put is one of them.
type put struct {
	of   *puts
	name string
	// turn is held by a Put while it makes something in S3, and by a Delete; it
	// guards deleted.
	turn    chan struct{}
	deleted bool
}

func (p *puts) begin(name string) *put {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[*put]bool{}
	}
	one := &put{of: p, name: name, turn: make(chan struct{}, 1)}
	p.all[one] = true
	return one
}

func (p *put) end() {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	delete(p.of.all, p)
}

// make calls do, unless the key was deleted.
func (p *put) make(do func() error) error {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	if p.deleted {
		return &sdk.Error{Code: sdk.CodeCancelled, Message: "the key was deleted while it was put"}
	}
	return do()
}

// stop keeps the Puts of an object from making any more, and waits for what they
// are making just now.
func (p *puts) stop(ctx context.Context, name string) error {
	p.mu.Lock()
	var running []*put
	for one := range p.all {
		if one.name == name {
			running = append(running, one)
		}
	}
	p.mu.Unlock()
	for _, one := range running {
		select {
		case one.turn <- struct{}{}:
			one.deleted = true
			<-one.turn
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
