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

// resetSession forgets the session, because the host requests a new one.
func (c *conn) resetSession() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = session{}
}

// storeSessionID stores the id of the session from the response to initialize.
func (c *conn) storeSessionID(resp *http.Response) {
	id := resp.Header.Get("Mcp-Session-Id")
	if id == "" || len(id) > 1024 || !isVisibleASCII(id) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session.id = id
}

// storeRevision stores the revision that the server has chosen.
func (c *conn) storeRevision(answer []byte) {
	var m struct {
		Result struct {
			ProtocolVersion string `json:"protocolVersion"`
		} `json:"result"`
	}
	if json.Unmarshal(answer, &m) != nil || len(m.Result.ProtocolVersion) > 64 ||
		!isVisibleASCII(m.Result.ProtocolVersion) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session.revision = m.Result.ProtocolVersion
}

// isVisibleASCII reports whether text is safe to send as a header value.
func isVisibleASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// legacyHeaders returns the headers of a session.
func (c *conn) legacyHeaders() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := http.Header{}
	if c.session.id != "" {
		h.Set("Mcp-Session-Id", c.session.id)
	}
	if c.session.revision != "" {
		h.Set("Mcp-Protocol-Version", c.session.revision)
	}
	return h
}

// sessionID returns the id of the session, or an empty string.
func (c *conn) sessionID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session.id
}

// checkExpired ends the connection if the response means that the server no longer knows
// the session, and reports whether it does.
func (c *conn) checkExpired(resp *http.Response, m outgoing) bool {
	if resp.StatusCode != http.StatusNotFound || m.modern || m.head.Method == "initialize" || c.sessionID() == "" {
		return false
	}
	c.endExpired()
	return true
}

// endExpired ends the connection of an expired session.
func (c *conn) endExpired() { c.shutdown("the session has expired on " + c.client.Host()) }

// endSession asks the server to delete the session. It ignores errors.
func (c *conn) endSession() {
	if c.sessionID() == "" {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, deleteTimeout)
	defer cancel()
	resp, err := c.client.Do(ctx, remote.Request{Method: http.MethodDelete, Header: c.legacyHeaders()})
	if err == nil {
		resp.Body.Close()
	}
}
