package main

import (
	"encoding/json"
	"net/http"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// outgoing is a message to the server.
type outgoing struct {
	text   []byte
	head   remote.Head
	params map[string]json.RawMessage
	// revision is the one that the message names, and modern whether it is so.
	revision string
	modern   bool
	// trace is the one that the message says it is part of.
	trace sdk.Trace
}

func parse(message []byte) (outgoing, error) {
	if len(message) > mcptransport.MaxMessage {
		return outgoing{}, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the message is too long"}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(message, &members); err != nil || members == nil {
		return outgoing{}, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the message is no JSON object"}
	}
	m := outgoing{text: message, head: remote.HeadOf(message)}
	_ = json.Unmarshal(members["params"], &m.params) // a list has no names
	var meta map[string]json.RawMessage
	_ = json.Unmarshal(m.params["_meta"], &meta)
	_ = json.Unmarshal(meta["io.modelcontextprotocol/protocolVersion"], &m.revision)
	if len(m.revision) > 64 || !isPlain(m.revision) {
		m.revision = ""
	}
	m.modern = m.revision >= modernFrom
	m.trace = traceOf(meta)
	return m, nil
}

// headers are those of a POST.
func (c *conn) headers(m outgoing) http.Header {
	var h http.Header
	switch {
	case m.head.Method == "initialize":
		h = http.Header{}
	case m.modern:
		h = c.modernHeaders(m, m.revision)
	default:
		h = c.legacyHeaders()
		if revision := c.modernRevision(); revision != "" {
			h = c.modernHeaders(m, revision)
		}
	}
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json, text/event-stream")
	m.trace.SetHeaders(h)
	return h
}

// traceOf reads what a message's _meta says of its trace. What can't stand in a header is
// left out.
func traceOf(meta map[string]json.RawMessage) sdk.Trace {
	var t sdk.Trace
	for key, to := range map[string]*string{"traceparent": &t.Parent, "tracestate": &t.State} {
		if json.Unmarshal(meta[key], to) != nil || len(*to) > 512 || !isPlain(*to) {
			*to = ""
		}
	}
	return t
}

// modernRevision is the host's, for what it sends without naming one; empty when
// there is a session.
func (c *conn) modernRevision() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.revision != "" {
		return ""
	}
	return c.session.modern
}

func (c *conn) modernHeaders(m outgoing, revision string) http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session.modern = revision
	h := http.Header{}
	h.Set("Mcp-Protocol-Version", revision)
	if m.head.Method == "" {
		return h
	}
	h.Set("Mcp-Method", encode(m.head.Method))
	var name string
	if key, ok := namedBy[m.head.Method]; ok && json.Unmarshal(m.params[key], &name) == nil {
		h.Set("Mcp-Name", encode(name))
	}
	if m.head.Method == "tools/call" {
		for header, value := range paramHeaders(c.tools[name], m.params["arguments"]) {
			h.Set("Mcp-Param-"+header, value)
		}
	}
	return h
}

// namedBy is the parameter that Mcp-Name repeats.
var namedBy = map[string]string{
	"tools/call":     "name",
	"prompts/get":    "name",
	"resources/read": "uri",
	"tasks/get":      "taskId",
	"tasks/update":   "taskId",
	"tasks/cancel":   "taskId",
}
