package main

import (
	"context"
	"path/filepath"
	"sync"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// transport implements mcptransport.Transport with programs.
type transport struct {
	config config
	limits limits
	// starter starts the shims.
	starter *starter

	mu    sync.Mutex
	conns map[*conn]bool
}

// Configure implements sdk.Configurer.
func (t *transport) Configure(_ context.Context, env sdk.Env) (err error) {
	if t.limits, err = t.config.limits(); err != nil {
		return err
	}
	t.starter = newStarter(t.config.Namespace, records(filepath.Join(env.DataDir, "programs")))
	t.conns = map[*conn]bool{}
	return nil
}

// Connect implements mcptransport.Transport.
func (t *transport) Connect(_ context.Context, o mcptransport.Open) (mcptransport.Conn, error) {
	p, err := parseProgram(o.Config)
	if err != nil {
		return nil, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: err.Error()}
	}
	c, err := t.open(p)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns[c] = true
	go func() {
		<-c.done
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.conns, c)
	}()
	return c, nil
}

// Stop implements sdk.Stopper. It closes all connections.
func (t *transport) Stop(ctx context.Context) error {
	t.mu.Lock()
	var all []*conn
	for c := range t.conns {
		all = append(all, c)
	}
	t.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
	for _, c := range all {
		select {
		case <-c.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
