package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/agentarea/agentarea/core"
)

// postLegacy sends messages to the upstream of their session. An initialize request opens a
// session.
func (g *Gateway) postLegacy(w http.ResponseWriter, r *http.Request, c *caller, messages []*message) {
	if r.Header.Get(sessionHeader) == "" && messages[0].method == "initialize" && messages[0].isRequest() {
		g.openSession(w, r, c, messages[0])
		return
	}
	s, ok := g.findSession(w, r, c)
	if !ok || !g.checkVersion(w, r) {
		return
	}
	s.beginPost()
	defer s.endPost()
	out := newStream(randomID(), true, g.limits.Buffer)
	for _, m := range messages {
		if m.isRequest() {
			out.pending++
		}
	}
	if out.pending == 0 {
		for _, m := range messages {
			s.onClientMessage(m)
		}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	s.addStream(out)
	for _, m := range messages {
		if !m.isRequest() {
			s.onClientMessage(m)
			continue
		}
		if err := s.start(m, out, g.times.Call); err != nil {
			if len(messages) == 1 {
				s.removeStream(out)
				writeError(w, m.id, err)
				return
			}
			out.addResponse(err.response(m.id))
		}
	}
	s.reply(w, r, out)
}

// findSession returns the session that the request names. It writes an error and returns false
// when the session does not exist or belongs to another user or server.
func (g *Gateway) findSession(w http.ResponseWriter, r *http.Request, c *caller) (*session, bool) {
	id := r.Header.Get(sessionHeader)
	if id == "" {
		g.fail(w, r, core.Invalid(sessionHeader,
			"The header is missing. Send initialize first; its response has the session ID."))
		return nil, false
	}
	g.mu.Lock()
	s := g.sessions[id]
	g.mu.Unlock()
	if s == nil || s.userID != c.userID() || s.serverID != c.server.ID {
		g.fail(w, r, &core.Error{
			Code: core.CodeNotFound, Message: "Session not found. Send initialize to open a new one.",
		})
		return nil, false
	}
	return s, true
}

// openSession opens a session with its own connection. The session is registered only after the
// server has accepted initialize.
func (g *Gateway) openSession(w http.ResponseWriter, r *http.Request, c *caller, m *message) {
	release, err := g.reserve(c)
	if err != nil {
		g.rejectRequest(w, r, err)
		return
	}
	s, out, err := g.handshake(r.Context(), c, m)
	if err != nil {
		release()
		g.rejectRequest(w, r, err)
		return
	}
	if s.version == "" {
		release()
		(&eventWriter{w: w, control: http.NewResponseController(w), times: &g.times}).serve(r.Context(), out, -1)
		s.close("the server rejected initialize")
		return
	}
	s.beginPost()
	defer s.endPost()
	g.register(s, c.Credential(), release)
	w.Header().Set(sessionHeader, s.id)
	s.reply(w, r, out)
}

// handshake opens a connection and sends it the initialize request. If the server rejected the
// request, the session has no version and out contains the error response.
func (g *Gateway) handshake(ctx context.Context, c *caller, m *message) (*session, *stream, error) {
	ctx, cancel := context.WithTimeout(ctx, g.times.Start)
	defer cancel()
	if !g.isModernOnly(c.server) {
		s, out, err := g.tryHandshake(ctx, c, m, g.servers.Dial)
		if err != nil || s.version != "" || !s.supportsModern(ctx) {
			return s, out, err
		}
		s.close("the server supports modern revisions only")
		g.setModernOnly(c.server)
	}
	return g.tryHandshake(ctx, c, m, g.dialForLegacy)
}

// tryHandshake sends the initialize request on a connection that dial opens.
func (g *Gateway) tryHandshake(
	ctx context.Context, c *caller, m *message, dial func(context.Context, string) (Conn, error),
) (*session, *stream, error) {
	conn, err := dial(ctx, c.server.ID)
	if err != nil {
		return nil, nil, err
	}
	s := g.newSession(c, conn)
	out := newStream(randomID(), true, g.limits.Buffer)
	out.pending = 1
	s.addStream(out)
	if err := s.start(m, out, g.times.Start); err != nil {
		s.close("initialize could not be sent")
		return nil, nil, err
	}
	events, err := out.waitAll(ctx)
	if err != nil {
		s.close("initialize was not answered in time")
		return nil, nil, &core.Error{
			Code:    core.CodeUpstreamTimeout,
			Message: "The MCP server did not answer initialize in time",
			Err:     err,
		}
	}
	if answer, err := parseCompact(events[len(events)-1]); err == nil {
		s.version = stringValue(get(answer.result, "protocolVersion"))
	}
	return s, out, nil
}

// handleGet streams the messages that belong to no call. With a Last-Event-ID header it resumes
// an interrupted stream after that event.
func (g *Gateway) handleGet(w http.ResponseWriter, r *http.Request, c *caller) {
	if r.Header.Get(versionHeader) >= version202607 {
		g.methodNotAllowed(w, r, "POST", ", because this protocol revision uses subscriptions/listen instead")
		return
	}
	if !accepts(r, "text/event-stream") {
		g.notAcceptable(w, r, "Accept must include text/event-stream")
		return
	}
	s, ok := g.findSession(w, r, c)
	if !ok || !g.checkVersion(w, r) {
		return
	}
	out, from := s.standalone, -1
	if last := r.Header.Get(lastHeader); last != "" {
		id, next, ok := parseEventID(last)
		if out = s.stream(id); !ok || out == nil || !out.canResumeAt(next) {
			g.fail(w, r, core.Invalid(lastHeader,
				"The events after this ID are no longer available. Send the request again."))
			return
		}
		from = next
	}
	e := s.writer(w)
	e.prime = false
	s.serve(r, e, out, from)
}

// handleDelete ends a session.
func (g *Gateway) handleDelete(w http.ResponseWriter, r *http.Request, c *caller) {
	if r.Header.Get(versionHeader) >= version202607 {
		g.methodNotAllowed(w, r, "POST", ", because this protocol revision has no sessions")
		return
	}
	s, ok := g.findSession(w, r, c)
	if !ok {
		return
	}
	s.close("the client ended the session")
	w.WriteHeader(http.StatusNoContent)
}

// supportsModern reports whether a server that rejected initialize supports a modern revision.
func (s *session) supportsModern(ctx context.Context) bool {
	return probe(ctx, s.upstream) == nil
}

// probe returns nil if the server supports a modern revision, or else the reason why it does
// not.
func probe(ctx context.Context, u *upstream) error {
	ctx, cancel := context.WithTimeout(ctx, u.times.Probe)
	defer cancel()
	m, err := u.request(ctx, "server/discover", map[string]any{"_meta": gatewayMeta()})
	if err != nil {
		return err
	}
	if m.err != nil {
		return &rpcError{Code: m.errorCode(), Message: stringValue(get(m.err, "message"))}
	}
	for _, v := range splitArray(get(m.result, "supportedVersions")) {
		if stringValue(v) >= version202607 {
			return nil
		}
	}
	return &rpcError{Code: codeUnsupportedVersion, Message: "the server supports legacy revisions only"}
}

// gatewayMeta returns the _meta object of requests that the gateway itself sends.
func gatewayMeta() map[string]any {
	return map[string]any{
		metaVersion:      version202607,
		metaClient:       map[string]string{"name": "agentarea", "version": "1"},
		metaCapabilities: struct{}{},
	}
}

// elapsed returns the time from t to now, and 0 if t is after now.
func elapsed(t, now time.Time) time.Duration { return max(0, now.Sub(t)) }
