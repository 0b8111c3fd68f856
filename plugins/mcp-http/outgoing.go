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
	// revision is the protocol revision in the message's _meta. modern is true for
	// revisions without sessions.
	revision string
	modern   bool
	// trace is the trace context in the message's _meta.
	trace sdk.Trace
}

// parseMessage reads a message of the host.
func parseMessage(message []byte) (outgoing, error) {
	if len(message) > mcptransport.MaxMessage {
		return outgoing{}, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the message is longer than 16 MiB"}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(message, &members); err != nil || members == nil {
		return outgoing{}, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the message is not a JSON object"}
	}
	m := outgoing{text: message, head: remote.HeadOf(message)}
	_ = json.Unmarshal(members["params"], &m.params) // positional parameters have no names
	var meta map[string]json.RawMessage
	_ = json.Unmarshal(m.params["_meta"], &meta)
	_ = json.Unmarshal(meta["io.modelcontextprotocol/protocolVersion"], &m.revision)
	if len(m.revision) > 64 || !isVisibleASCII(m.revision) {
		m.revision = ""
	}
	m.modern = m.revision >= modernFrom
	m.trace = traceOf(meta)
	return m, nil
}

// headers returns the headers of the POST request for a message.
func (c *conn) headers(m outgoing) http.Header {
	var h http.Header
	switch {
	case m.head.Method == "initialize":
		h = http.Header{}
	case m.modern:
		h = c.modernHeaders(m, m.revision)
	default:
		h = c.currentSession().headers()
		if revision := c.modernRevision(); revision != "" {
			h = c.modernHeaders(m, revision)
		}
	}
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json, text/event-stream")
	m.trace.SetHeaders(h)
	return h
}

// traceOf returns the trace context of a message's _meta. It omits values that cannot be
// sent in a header.
func traceOf(meta map[string]json.RawMessage) sdk.Trace {
	var t sdk.Trace
	for key, field := range map[string]*string{"traceparent": &t.Parent, "tracestate": &t.State} {
		if json.Unmarshal(meta[key], field) != nil || len(*field) > 512 || !isVisibleASCII(*field) {
			*field = ""
		}
	}
	return t
}

// modernRevision returns the revision that the host last used, for messages that do not
// name one. It is empty when there is a session.
func (c *conn) modernRevision() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.revision != "" {
		return ""
	}
	return c.session.modern
}

// modernHeaders returns the headers that repeat parts of a message.
func (c *conn) modernHeaders(m outgoing, revision string) http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session.modern = revision
	h := http.Header{}
	h.Set("Mcp-Protocol-Version", revision)
	if m.head.Method == "" {
		return h
	}
	h.Set("Mcp-Method", encodeHeader(m.head.Method))
	var name string
	if key, ok := nameParam[m.head.Method]; ok && json.Unmarshal(m.params[key], &name) == nil {
		h.Set("Mcp-Name", encodeHeader(name))
	}
	if m.head.Method == "tools/call" {
		for header, value := range paramHeaders(c.tools[name], m.params["arguments"]) {
			h.Set("Mcp-Param-"+header, value)
		}
	}
	return h
}

// nameParam maps a method to the parameter that Mcp-Name repeats.
var nameParam = map[string]string{
	"tools/call":     "name",
	"prompts/get":    "name",
	"resources/read": "uri",
	"tasks/get":      "taskId",
	"tasks/update":   "taskId",
	"tasks/cancel":   "taskId",
}
