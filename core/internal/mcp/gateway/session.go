package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"time"
)

// maxFinished is the maximum number of finished streams that a session keeps for a client that
// reconnects. Limits.Buffer limits their total size.
const maxFinished = 32

// session is the session of a legacy client with its own upstream.
type session struct {
	g        *Gateway
	id       string
	userID   string
	serverID string
	// version is the revision that client and server agreed on. It is empty until the server
	// accepts initialize.
	version  string
	upstream *upstream
	// standalone receives the messages that belong to no call. A GET request reads it.
	standalone *stream

	ctx  context.Context //nolint:containedctx // it ends with the session
	stop context.CancelCauseFunc

	mu      sync.Mutex
	streams map[string]*stream
	// finished contains the streams whose POST has ended, oldest first.
	finished []*stream
	// calls contains the open calls by the ID that the client chose.
	calls map[string]*call
	// serverRequests contains the requests of the server that the client has not answered, with
	// the time of each request.
	serverRequests map[string]time.Time
	// activePosts is the number of POST requests in progress. lastUsed is the time at which the last
	// one ended.
	activePosts int
	lastUsed    time.Time
	// cleanups are called when the session has ended.
	cleanups []func()
}

// randomID returns a random ID that is hard to guess.
func randomID() string { return rand.Text() }

// newSession returns a session on conn and starts to receive its messages.
func (g *Gateway) newSession(c *caller, conn Conn) *session {
	s := &session{
		g: g, id: randomID(), userID: c.userID(), serverID: c.server.ID,
		upstream:   newUpstream(conn, &g.times, g.logger.With("mcp_server", c.server.Slug)),
		standalone: newStream("own", true, g.limits.Buffer),
		streams:    map[string]*stream{}, calls: map[string]*call{},
		serverRequests: map[string]time.Time{}, lastUsed: time.Now(),
	}
	s.streams[s.standalone.id] = s.standalone
	s.ctx, s.stop = context.WithCancelCause(g.ctx)
	s.upstream.onMessage = s.onServerMessage
	s.upstream.onClose = s.onClosed
	g.work.Go(func() { s.upstream.run(s.ctx) })
	return s
}

// close ends the session and closes its connection. Open calls fail with the reason.
func (s *session) close(reason string) {
	s.g.mu.Lock()
	delete(s.g.sessions, s.id)
	s.g.mu.Unlock()
	s.stop(errors.New(reason))
}

// onClosed ends the session after its connection has closed.
func (s *session) onClosed() {
	s.close("the connection has closed")
	s.standalone.end()
	s.mu.Lock()
	cleanups := s.cleanups
	s.cleanups = nil
	s.mu.Unlock()
	for _, f := range cleanups {
		f()
	}
}

// onEnd registers f to be called when the session has ended.
func (s *session) onEnd(f func()) {
	s.mu.Lock()
	s.cleanups = append(s.cleanups, f)
	s.mu.Unlock()
}

// beginPost marks the session as in use. The caller calls endPost afterwards.
func (s *session) beginPost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.activePosts++
}

// endPost undoes beginPost and restarts the idle time.
func (s *session) endPost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.activePosts--
	s.lastUsed = time.Now()
}

// idleFor returns the time since the last call of the session. An open GET stream does not count as a
// call.
func (s *session) idleFor(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.activePosts > 0 || len(s.calls) > 0 {
		return 0
	}
	return elapsed(s.lastUsed, now)
}

// addStream makes the stream available to a client that reconnects.
func (s *session) addStream(out *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[out.id] = out
}

// removeStream undoes addStream.
func (s *session) removeStream(out *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, out.id)
}

// stream returns the stream with the ID, or nil.
func (s *session) stream(id string) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[id]
}

// writer returns an eventWriter whose events have IDs, so that a client can resume.
func (s *session) writer(w http.ResponseWriter) *eventWriter {
	e := s.g.eventWriter(w)
	e.ids = true
	e.prime = s.version >= version202511
	return e
}

// reply writes the stream of a POST. It keeps the stream for a client that lost the connection.
func (s *session) reply(w http.ResponseWriter, r *http.Request, out *stream) {
	complete := s.serve(r, s.writer(w), out, -1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if complete && out.byteCount() > s.g.limits.Buffer {
		delete(s.streams, out.id)
		return
	}
	s.finished = append(s.finished, out)
	size := 0
	for _, f := range s.finished {
		size += f.byteCount()
	}
	for len(s.finished) > 1 && (size > s.g.limits.Buffer || len(s.finished) > maxFinished) {
		size -= s.finished[0].byteCount()
		delete(s.streams, s.finished[0].id)
		s.finished = s.finished[1:]
	}
}

// serve writes a stream to a response until the stream ends or the gateway closes. It reports
// whether the whole stream was written.
func (s *session) serve(r *http.Request, e *eventWriter, out *stream, from int) bool {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.g.ctx, cancel)() //nolint:contextcheck // streams end with the gateway
	return e.serve(ctx, out, from)
}

// start sends a request of the client to the server. The response goes to out. If start returns
// an error, the request has not been sent.
func (s *session) start(m *message, out *stream, timeout time.Duration) *rpcError {
	id := string(m.id)
	c := &call{clientID: m.id, method: m.method, out: out, timeout: timeout, paused: s.awaitsClient}
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
		return &rpcError{
			Code:    codeInvalidRequest,
			Message: "Invalid request: a request with this id is still in progress",
		}
	case len(s.calls) >= s.g.limits.Calls:
		s.mu.Unlock()
		return &rpcError{
			Code:    codeServer,
			Message: "Too many requests are in progress in this session. Wait for a response first.",
			status:  http.StatusTooManyRequests,
		}
	}
	s.calls[id] = c
	s.mu.Unlock()
	err := s.upstream.start(s.ctx, c, m)
	if err != nil {
		c.done()
	}
	return err
}

// onClientMessage sends a notification or response of the client to the server.
func (s *session) onClientMessage(m *message) {
	switch {
	case m.isResponse():
		s.mu.Lock()
		_, ok := s.serverRequests[string(m.id)]
		delete(s.serverRequests, string(m.id))
		s.mu.Unlock()
		if !ok {
			return // the server has no such open request
		}
	case m.method == "notifications/cancelled":
		s.mu.Lock()
		c := s.calls[string(get(m.params, "requestId"))]
		s.mu.Unlock()
		if c == nil || s.upstream.remove(c.id) == nil {
			return
		}
		s.upstream.send(s.ctx, replace(m.raw, formatInt(c.id), "params", "requestId"))
		c.fail(&rpcError{Code: codeServer, Message: "Request cancelled"})
		return
	}
	s.upstream.send(s.ctx, m.raw)
}

// awaitsClient reports whether the client has an unanswered request of the server. The time
// until the answer does not count against the server.
func (s *session) awaitsClient() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.serverRequests {
		if time.Since(at) < s.g.times.Answer {
			return true
		}
	}
	return false
}
