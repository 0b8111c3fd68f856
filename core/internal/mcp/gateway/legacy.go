package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/agentarea/agentarea/core"
)

// postLegacy takes messages to the child of their session, and opens one for
// initialize.
func (g *Gateway) postLegacy(w http.ResponseWriter, r *http.Request, c *caller, messages []*message) {
	if r.Header.Get(sessionHeader) == "" && messages[0].method == "initialize" && messages[0].isRequest() {
		g.open(w, r, c, messages[0])
		return
	}
	s, ok := g.session(w, r, c)
	if !ok || !checkVersion(w, r) {
		return
	}
	s.enter()
	defer s.leave()
	out := newStream(randomID(), true, g.limits.Buffer)
	for _, m := range messages {
		if m.isRequest() {
			out.waiting++
		}
	}
	if out.waiting == 0 {
		for _, m := range messages {
			s.hear(m)
		}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	s.add(out)
	for _, m := range messages {
		if !m.isRequest() {
			s.hear(m)
			continue
		}
		if err := s.start(m, out, g.times.Call); err != nil {
			if len(messages) == 1 {
				s.forget(out)
				fail(w, m.id, err)
				return
			}
			out.answer(err.answer(m.id))
		}
	}
	s.reply(w, r, out)
}

// session gives that of the request: of the same user and server, or it is not
// there.
func (g *Gateway) session(w http.ResponseWriter, r *http.Request, c *caller) (*session, bool) {
	id := r.Header.Get(sessionHeader)
	if id == "" {
		fail(w, nil, &rpcError{Code: codeServer, Message: "Bad request: " + sessionHeader + " is missing; initialize gives one"})
		return nil, false
	}
	g.mu.Lock()
	s := g.sessions[id]
	g.mu.Unlock()
	if s == nil || s.userID != c.userID() || s.serverID != c.server.ID {
		fail(w, nil, &rpcError{Code: codeNoSession, Message: "Session not found", status: http.StatusNotFound})
		return nil, false
	}
	return s, true
}

// open starts a session with a child of its own. There is one once the child
// has accepted.
func (g *Gateway) open(w http.ResponseWriter, r *http.Request, c *caller, m *message) {
	release, err := g.reserve(c)
	if err != nil {
		g.refuse(w, r, err)
		return
	}
	s, out, err := g.handshake(r.Context(), c, m)
	if err != nil {
		release()
		g.refuse(w, r, err)
		return
	}
	if s.version == "" {
		release()
		(&eventWriter{w: w, control: http.NewResponseController(w), times: &g.times}).serve(r.Context(), out, -1)
		s.close("it did not accept the handshake")
		return
	}
	s.enter()
	defer s.leave()
	g.admit(s, c.Credential(), release)
	w.Header().Set(sessionHeader, s.id)
	s.reply(w, r, out)
}

// handshake dials a child and takes the client's initialize to it. A session
// without a version was refused by the child; out has the child's words.
func (g *Gateway) handshake(ctx context.Context, c *caller, m *message) (*session, *stream, error) {
	ctx, cancel := context.WithTimeout(ctx, g.times.Start)
	defer cancel()
	if !g.onlyModern(c.server) {
		s, out, err := g.tryHandshake(ctx, c, m, g.servers.Dial)
		if err != nil || s.version != "" || !s.knowsModern(ctx) {
			return s, out, err
		}
		s.close("it knows the modern era only")
		g.noteOnlyModern(c.server)
	}
	return g.tryHandshake(ctx, c, m, g.dialForLegacy)
}

func (g *Gateway) tryHandshake(ctx context.Context, c *caller, m *message, dial func(context.Context, string) (Child, error)) (*session, *stream, error) {
	child, err := dial(ctx, c.server.ID)
	if err != nil {
		return nil, nil, err
	}
	s := g.newSession(c, child)
	out := newStream(randomID(), true, g.limits.Buffer)
	out.waiting = 1
	s.add(out)
	if err := s.start(m, out, g.times.Start); err != nil {
		s.close("it did not take the handshake")
		return nil, nil, err
	}
	events, err := out.all(ctx)
	if err != nil {
		s.close("nobody waits for it")
		return nil, nil, &core.Error{Code: core.CodeUpstreamTimeout, Message: "The MCP server did not answer initialize in time", Err: err}
	}
	if answer, err := cut(events[len(events)-1]); err == nil {
		s.version = text(get(answer.result, "protocolVersion"))
	}
	return s, out, nil
}

// listen is GET: a stream of what the child sends on its own, or one that was
// lost, from where the client has it.
func (g *Gateway) listen(w http.ResponseWriter, r *http.Request, c *caller) {
	if r.Header.Get(versionHeader) >= version202607 {
		w.Header().Set("Allow", "POST")
		fail(w, nil, &rpcError{Code: codeServer, Message: "Method not allowed: this revision has subscriptions/listen", status: http.StatusMethodNotAllowed})
		return
	}
	if !accepts(r, "text/event-stream") {
		fail(w, nil, &rpcError{Code: codeServer, Message: "Accept must name text/event-stream", status: http.StatusNotAcceptable})
		return
	}
	s, ok := g.session(w, r, c)
	if !ok || !checkVersion(w, r) {
		return
	}
	out, from := s.own, -1
	if last := r.Header.Get(lastHeader); last != "" {
		id, next, ok := parseEventID(last)
		if out = s.stream(id); !ok || out == nil || !out.has(next) {
			fail(w, nil, &rpcError{Code: codeServer, Message: "What follows this " + lastHeader + " is not kept any more"})
			return
		}
		from = next
	}
	e := s.writer(w)
	e.prime = false
	s.serve(r, e, out, from)
}

// leave is DELETE, the end of a session.
func (g *Gateway) leave(w http.ResponseWriter, r *http.Request, c *caller) {
	if r.Header.Get(versionHeader) >= version202607 {
		w.Header().Set("Allow", "POST")
		fail(w, nil, &rpcError{Code: codeServer, Message: "Method not allowed: this revision has no sessions", status: http.StatusMethodNotAllowed})
		return
	}
	s, ok := g.session(w, r, c)
	if !ok {
		return
	}
	s.close("the client has ended the session")
	w.WriteHeader(http.StatusNoContent)
}

// knowsModern asks a child that has refused initialize.
func (s *session) knowsModern(ctx context.Context) bool {
	return probe(ctx, s.link) == nil
}

// probe asks a child whether it knows the modern era; nil is yes.
func probe(ctx context.Context, l *link) error {
	ctx, cancel := context.WithTimeout(ctx, l.times.Probe)
	defer cancel()
	m, err := l.ask(ctx, "server/discover", map[string]any{"_meta": ownMeta()})
	if err != nil {
		return err
	}
	if m.err != nil {
		return &rpcError{Code: m.errorCode(), Message: text(get(m.err, "message"))}
	}
	for _, v := range batch(get(m.result, "supportedVersions")) {
		if text(v) >= version202607 {
			return nil
		}
	}
	return &rpcError{Code: codeUnsupportedVersion, Message: "the server knows older revisions only"}
}

// ownMeta is that of the gateway's own requests.
func ownMeta() map[string]any {
	return map[string]any{
		metaVersion:      version202607,
		metaClient:       map[string]string{"name": "agentarea", "version": "1"},
		metaCapabilities: struct{}{},
	}
}

func since(t, now time.Time) time.Duration { return max(0, now.Sub(t)) }
