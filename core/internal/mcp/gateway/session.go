package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"time"
)

// maxFinished is how many streams of a session that are over stay for a client
// that comes back, if their bytes are within the limit.
const maxFinished = 32

// session is a legacy client with its child.
type session struct {
	g        *Gateway
	id       string
	userID   string
	serverID string
	// version is what client and child have agreed on.
	version string
	link    *link
	// own gets what belongs to no call; GET reads it.
	own *stream

	ctx  context.Context //nolint:containedctx // the session's, which its end ends
	stop context.CancelCauseFunc

	mu      sync.Mutex
	streams map[string]*stream
	// finished are the streams whose POST is over, oldest first.
	finished []*stream
	// calls are those under way, by the client's id.
	calls map[string]*call
	// asked are the child's requests that the client has not answered, and when.
	asked map[string]time.Time
	posts int
	used  time.Time
	// forgets are what the end of the session is to undo.
	forgets []func()
}

func randomID() string { return rand.Text() }

func (g *Gateway) newSession(c *caller, child Child) *session {
	s := &session{
		g: g, id: randomID(), userID: c.userID(), serverID: c.server.ID,
		link:    newLink(child, &g.times, g.logger.With("mcp_server", c.server.Slug)),
		own:     newStream("own", true, g.limits.Buffer),
		streams: map[string]*stream{}, calls: map[string]*call{}, asked: map[string]time.Time{}, used: time.Now(),
	}
	s.streams[s.own.id] = s.own
	s.ctx, s.stop = context.WithCancelCause(g.ctx)
	s.link.heard = s.route
	s.link.gone = s.ended
	g.work.Go(func() { s.link.run(s.ctx) })
	return s
}

// close ends the session with its child. Calls under way are answered.
func (s *session) close(why string) {
	s.g.mu.Lock()
	delete(s.g.sessions, s.id)
	s.g.mu.Unlock()
	s.stop(errors.New(why))
}

// ended is called when the child is gone.
func (s *session) ended() {
	s.close("its child has ended")
	s.own.end()
	s.mu.Lock()
	forgets := s.forgets
	s.forgets = nil
	s.mu.Unlock()
	for _, f := range forgets {
		f()
	}
}

// atEnd has f called once the session has ended.
func (s *session) atEnd(f func()) {
	s.mu.Lock()
	s.forgets = append(s.forgets, f)
	s.mu.Unlock()
}

func (s *session) enter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts++
}

func (s *session) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts--
	s.used = time.Now()
}

// idleFor says for how long there was no call; an open GET is none.
func (s *session) idleFor(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.posts > 0 || len(s.calls) > 0 {
		return 0
	}
	return since(s.used, now)
}

func (s *session) add(out *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[out.id] = out
}

func (s *session) forget(out *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, out.id)
}

func (s *session) stream(id string) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[id]
}

func (s *session) writer(w http.ResponseWriter) *eventWriter {
	e := s.g.eventWriter(w)
	e.ids = true
	e.prime = s.version >= version202511
	return e
}

// reply writes the stream of a POST, and keeps it for a client that was cut off.
func (s *session) reply(w http.ResponseWriter, r *http.Request, out *stream) {
	whole := s.serve(r, s.writer(w), out, -1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if whole && out.bytes() > s.g.limits.Buffer {
		delete(s.streams, out.id)
		return
	}
	s.finished = append(s.finished, out)
	size := 0
	for _, f := range s.finished {
		size += f.bytes()
	}
	for len(s.finished) > 1 && (size > s.g.limits.Buffer || len(s.finished) > maxFinished) {
		size -= s.finished[0].bytes()
		delete(s.streams, s.finished[0].id)
		s.finished = s.finished[1:]
	}
}

// serve writes a stream to a response, at most until the session's end.
func (s *session) serve(r *http.Request, e *eventWriter, out *stream, from int) bool {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.g.ctx, cancel)() //nolint:contextcheck // the gateway's, whose end is that of all
	return e.serve(ctx, out, from)
}

// start sends a client's request to the child.
func (s *session) start(m *message, out *stream, patience time.Duration) *rpcError {
	id := string(m.id)
	c := &call{clientID: m.id, method: m.method, out: out, patience: patience, excused: s.asking}
	c.done = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.calls[id] == c {
			delete(s.calls, id)
		}
	}
	s.mu.Lock()
	switch {
	case s.calls[id] != nil:
		s.mu.Unlock()
		return &rpcError{Code: codeInvalidRequest, Message: "Invalid request: a request with this id is still under way"}
	case len(s.calls) >= s.g.limits.Calls:
		s.mu.Unlock()
		return &rpcError{Code: codeServer, Message: "Too many requests are under way in this session", status: http.StatusTooManyRequests}
	}
	s.calls[id] = c
	s.mu.Unlock()
	err := s.link.start(s.ctx, c, m)
	if err != nil {
		c.done()
	}
	return err
}

// hear takes a client's notification or answer to the child.
func (s *session) hear(m *message) {
	switch {
	case m.isResponse():
		s.mu.Lock()
		_, ok := s.asked[string(m.id)]
		delete(s.asked, string(m.id))
		s.mu.Unlock()
		if !ok {
			return // the child did not ask
		}
	case m.method == "notifications/cancelled":
		s.mu.Lock()
		c := s.calls[string(get(m.params, "requestId"))]
		s.mu.Unlock()
		if c == nil || s.link.remove(c.id) == nil {
			return
		}
		s.link.tell(s.ctx, replace(m.raw, fmtInt(c.id), "params", "requestId"))
		c.fail(&rpcError{Code: codeServer, Message: "Request cancelled"})
		return
	}
	s.link.tell(s.ctx, m.raw)
}

// asking says that the client has a question of the child's before it, so that
// the child is not to blame for the time.
func (s *session) asking() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.asked {
		if time.Since(at) < s.g.times.Answer {
			return true
		}
	}
	return false
}
