package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// modernFrom is the first revision without sessions. Later revisions are called modern,
// earlier ones legacy.
const modernFrom = "2026-07-28"

// session is the session of a legacy server, or the revision that a modern host uses.
type session struct {
	id       string
	revision string
	modern   string
}

// sessionHeader is the header with the id of a session.
const sessionHeader = "Mcp-Session-Id"

// headers returns the headers of the requests of a legacy session.
func (s session) headers() http.Header {
	h := http.Header{}
	if s.id != "" {
		h.Set(sessionHeader, s.id)
	}
	if s.revision != "" {
		h.Set("Mcp-Protocol-Version", s.revision)
	}
	return h
}

// resetSession forgets the session, because the host requests a new one with m.
func (c *conn) resetSession(m outgoing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replaceSession(session{})
	c.initialize, c.restored = m, nil
}

// setSession stores the session that the server has opened for the host.
func (c *conn) setSession(s session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replaceSession(s)
}

// replaceSession ends the stream of the previous session. The caller holds c.mu.
func (c *conn) replaceSession(s session) {
	c.session = s
	if c.stopListening != nil {
		c.stopListening()
		c.stopListening = nil
	}
}

// sessionIDOf returns the id of the session in the response to initialize, or "".
func sessionIDOf(resp *http.Response) string {
	id := resp.Header.Get(sessionHeader)
	if len(id) > 1024 || !isVisibleASCII(id) {
		return ""
	}
	return id
}

// revisionIn returns the revision that the server has chosen in its answer to initialize, or "".
func revisionIn(answer []byte) string {
	var m struct {
		Result struct {
			ProtocolVersion string `json:"protocolVersion"`
		} `json:"result"`
	}
	if json.Unmarshal(answer, &m) != nil || len(m.Result.ProtocolVersion) > 64 ||
		!isVisibleASCII(m.Result.ProtocolVersion) {
		return ""
	}
	return m.Result.ProtocolVersion
}

// isVisibleASCII reports whether text is safe to send as a header value.
func isVisibleASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// currentSession returns the session.
func (c *conn) currentSession() session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// endSession asks the server to delete the session. It ignores errors.
func (c *conn) endSession() {
	s := c.currentSession()
	if s.id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, deleteTimeout)
	defer cancel()
	resp, err := c.client.Do(ctx, remote.Request{Method: http.MethodDelete, Header: s.headers()})
	if err == nil {
		resp.Body.Close()
	}
}
