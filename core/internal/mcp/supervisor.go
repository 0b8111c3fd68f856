package mcp

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

// server is one that is known here, running or not.
type server struct {
	of  *Servers
	id  string
	log *ring

	// following is held while what is stored is read and followed: the last to
	// read it has the last word.
	following sync.Mutex

	mu sync.Mutex
	// desired is how to reach it while it is wanted; nil otherwise.
	desired *target
	// looping says that a goroutine makes it so.
	looping bool
	// term is the present one; nil without one.
	term *term
	// life is that of the main child, from its handshake on; nil without one.
	life  *life
	state core.MCPState
	// broken is why a server that is wanted can't even be tried; empty otherwise.
	broken string
	// changed is closed at the next change of the status; nil while nobody waits.
	changed chan struct{}
}

func newServer(of *Servers, id string) *server {
	return &server{of: of, id: id, log: newRing(of.Limits.Log), state: core.MCPState{Status: core.MCPStopped}}
}

func (s *server) now() core.MCPState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// setLocked changes the state, and wakes who waits for that.
func (s *server) setLocked(change func(*core.MCPState)) {
	change(&s.state)
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// want says how to reach a server that is to run, or nil for one that is not. It
// acts at once, also on a server that waits for its next try. again is to start
// a server anew that is reached as before.
func (s *server) want(t *target, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t != nil && s.desired.same(t) && s.looping && !again {
		s.desired = t
		return
	}
	s.desired, s.broken = t, ""
	switch {
	case s.looping:
		s.interruptLocked()
	case t != nil:
		s.looping = s.of.spawn(s.loop)
		if s.looping {
			s.setLocked(func(st *core.MCPState) { *st = core.MCPState{Status: core.MCPStarting} })
		}
	default:
		s.restLocked()
	}
}

// interrupt ends the present term.
func (s *server) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interruptLocked()
}

func (s *server) interruptLocked() {
	if s.term == nil {
		return
	}
	s.setLocked(func(st *core.MCPState) { st.Status, st.LastError = core.MCPStopping, "" })
	s.term.stop()
}

// fail says why a server that is wanted can't even be tried.
func (s *server) fail(reason string) {
	s.want(nil, false)
	s.log.add(sourceHost, reason)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = reason
	if !s.looping {
		s.restLocked()
	}
}

// restLocked is the state of a server that is not being run.
func (s *server) restLocked() {
	s.setLocked(func(st *core.MCPState) {
		*st = core.MCPState{Status: core.MCPStopped}
		if s.broken != "" {
			*st = core.MCPState{Status: core.MCPError, LastError: s.broken}
		}
	})
}

// loop makes what is desired so, one term after the other.
func (s *server) loop() {
	for {
		t := s.begin()
		if t == nil {
			return
		}
		t.supervise()
		t.end()
	}
}

// begin gives the next term; nil when none is desired.
func (s *server) begin() *term {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.term, s.life = nil, nil
	if s.desired == nil || s.of.ctx.Err() != nil {
		s.looping = false
		s.restLocked()
		s.log.add(sourceHost, "stopped")
		return nil
	}
	t := &term{server: s, target: s.desired}
	t.ctx, t.stop = context.WithCancel(s.of.ctx)
	s.term = t
	s.setLocked(func(st *core.MCPState) { *st = core.MCPState{Status: core.MCPStarting} })
	return t
}

// term is the time that a server is to run and is reached in one way. All
// children of it end with it.
type term struct {
	server *server
	target *target
	// ctx ends when the server is to stop, or is reached differently.
	ctx  context.Context //nolint:containedctx // it is the term's life
	stop context.CancelFunc
	// old says that the last child died of a question of the newest revision: some
	// old servers do. The next one is not asked it.
	old bool

	// The rest is the server's mutex's.

	// over refuses new children.
	over     bool
	children map[*child]struct{}
	// dialled counts those besides the main one, and those about to be.
	dialled int
	// opening counts children that are about to be, and living all until their end.
	living sync.WaitGroup
}

// supervise keeps a main child running until the term's end.
func (t *term) supervise() {
	s := t.server
	again := backoff{times: s.of.Times}
	for {
		s.log.add(sourceHost, "starting")
		up, reason := t.live()
		wait := again.ended(up)
		if !t.set(func(st *core.MCPState) {
			*st = core.MCPState{Status: core.MCPError, LastError: reason, Restarts: st.Restarts}
		}) {
			return
		}
		t.notify(core.LevelWarning, "failed, and is started again")
		s.log.add(sourceHost, fmt.Sprintf("%s; started again in %s", reason, wait.Round(10*time.Millisecond)))
		s.of.Logger.WarnContext(t.ctx, "MCP server failed", "server_id", s.id, "slug", t.target.slug, "error", reason, "wait", wait)
		select {
		case <-time.After(wait):
		case <-t.ctx.Done():
			return
		}
		t.set(func(st *core.MCPState) {
			st.Status = core.MCPStarting
			st.Restarts++
		})
	}
}

// set changes the server's state, unless the term is over: it says so.
func (t *term) set(change func(*core.MCPState)) bool {
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	if t.ctx.Err() != nil {
		return false
	}
	t.server.setLocked(change)
	return true
}

// end closes all children and waits until they are gone.
func (t *term) end() {
	t.stop()
	s := t.server
	s.mu.Lock()
	t.over = true
	s.setLocked(func(st *core.MCPState) { st.Status = core.MCPStopping })
	children := make([]*child, 0, len(t.children))
	for c := range t.children {
		children = append(children, c)
	}
	s.mu.Unlock()
	for _, c := range children {
		c.close("the MCP server was stopped")
	}
	t.living.Wait()
	if s.of.ctx.Err() == nil {
		t.notify(core.LevelInfo, "stopped")
	}
}
