package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// modernFrom is the first revision without sessions.
const modernFrom = "2026-07-28"

// session is what a legacy server has said of itself, and the revision that a
// modern host speaks.
type session struct {
	id       string
	revision string
	modern   string
}

// begin forgets the session when a new one is asked for.
func (c *conn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = session{}
}

// noteSession keeps the session's id, which comes with the answer to initialize.
func (c *conn) noteSession(resp *http.Response) {
	id := resp.Header.Get("Mcp-Session-Id")
	if id == "" || len(id) > 1024 || !isPlain(id) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session.id = id
}

// noteRevision keeps the revision that the server has chosen.
func (c *conn) noteRevision(answer []byte) {
	var m struct {
		Result struct {
			ProtocolVersion string `json:"protocolVersion"`
		} `json:"result"`
	}
	if json.Unmarshal(answer, &m) != nil || len(m.Result.ProtocolVersion) > 64 || !isPlain(m.Result.ProtocolVersion) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session.revision = m.Result.ProtocolVersion
}

// isPlain says whether text can be a header's value as it is.
func isPlain(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// legacyHeaders are those of a session.
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

func (c *conn) sessionID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session.id
}

// expired ends the connection when the server no longer knows the session.
func (c *conn) expired(resp *http.Response, m outgoing) bool {
	if resp.StatusCode != http.StatusNotFound || m.modern || m.head.Method == "initialize" || c.sessionID() == "" {
		return false
	}
	c.expire()
	return true
}

func (c *conn) expire() { c.end("the session has expired: " + c.client.Host() + " no longer knows it") }

// endSession tells the server that nobody comes back. It need not listen.
func (c *conn) endSession() {
	if c.sessionID() == "" {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, goodbye)
	defer cancel()
	resp, err := c.client.Do(ctx, remote.Request{Method: http.MethodDelete, Header: c.legacyHeaders()})
	if err == nil {
		resp.Body.Close()
	}
}

// drain reads what little may be left, so that the connection can be used again.
func drain(resp *http.Response) {
	if resp.ContentLength >= 0 {
		_, _ = io.CopyN(io.Discard, resp.Body, 4096)
	}
}
