package main

import (
	"context"
	"sync"

	"github.com/agentarea/agentarea/sdk"
)

// activePuts is the set of Puts in progress. It ensures that no Put stores anything for a
// key that is deleted during the Put. The zero value is empty.
type activePuts struct {
	mu  sync.Mutex
	all map[*activePut]bool
}

// activePut is a Put in progress.
type activePut struct {
	set  *activePuts
	name string
	// lock is held by the Put while it creates something in S3, and by a Delete. It guards
	// deleted. It is a channel so that Delete can stop waiting when its context ends.
	lock    chan struct{}
	deleted bool
}

// begin adds a Put of an object. The caller must call end.
func (a *activePuts) begin(name string) *activePut {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = map[*activePut]bool{}
	}
	p := &activePut{set: a, name: name, lock: make(chan struct{}, 1)}
	a.all[p] = true
	return p
}

// end removes the Put from the set.
func (p *activePut) end() {
	p.set.mu.Lock()
	defer p.set.mu.Unlock()
	delete(p.set.all, p)
}

// create calls fn, unless the key was deleted.
func (p *activePut) create(fn func() error) error {
	p.lock <- struct{}{}
	defer func() { <-p.lock }()
	if p.deleted {
		return &sdk.Error{Code: sdk.CodeCancelled, Message: "the file was deleted during its upload"}
	}
	return fn()
}

// stop prevents the Puts of an object from creating anything more, and waits for the
// requests that they have in progress.
func (a *activePuts) stop(ctx context.Context, name string) error {
	a.mu.Lock()
	var running []*activePut
	for p := range a.all {
		if p.name == name {
			running = append(running, p)
		}
	}
	a.mu.Unlock()
	for _, p := range running {
		select {
		case p.lock <- struct{}{}:
			p.deleted = true
			<-p.lock
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
