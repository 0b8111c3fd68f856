package gateway

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/agentarea/agentarea/core"
)

// bodyTimeout is the maximum time for a client to send a request body.
const bodyTimeout = 30 * time.Second

// The HTTP headers of MCP.
const (
	versionHeader = "Mcp-Protocol-Version"
	sessionHeader = "Mcp-Session-Id"
	lastHeader    = "Last-Event-ID"
	methodHeader  = "Mcp-Method"
	nameHeader    = "Mcp-Name"
	paramHeader   = "Mcp-Param-"
)

// The protocol revisions that the gateway distinguishes.
const (
	version202503 = "2025-03-26"
	version202511 = "2025-11-25"
	version202607 = "2026-07-28"
)

// legacyVersions lists the revisions in which a client opens a session.
var legacyVersions = []string{version202511, "2025-06-18", version202503, "2024-11-05"}

// The members of _meta that MCP defines for modern requests.
const (
	metaVersion      = "io.modelcontextprotocol/protocolVersion"
	metaClient       = "io.modelcontextprotocol/clientInfo"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaLogLevel     = "io.modelcontextprotocol/logLevel"
	metaSubscription = "io.modelcontextprotocol/subscriptionId"
)

// handlePost sends the posted message to the server. Revisions up to 2025-03-26 also allow a
// batch of messages.
func (g *Gateway) handlePost(w http.ResponseWriter, r *http.Request, c *caller) {
	raw, ok := g.readBody(w, r)
	if !ok {
		return
	}
	if items := splitArray(raw); items != nil {
		g.postBatch(w, r, c, items)
		return
	}
	m, err := parseCompact(raw)
	if err != nil {
		var id []byte
		if m != nil {
			id = m.id
		}
		writeError(w, id, &rpcError{Code: codeInvalidRequest, Message: "Invalid request: " + err.Error()})
		return
	}
	if isModern(r, m) {
		g.postModern(w, r, c, m)
		return
	}
	g.postLegacy(w, r, c, []*message{m})
}

// isModern reports whether a message uses a modern, stateless revision.
func isModern(r *http.Request, m *message) bool {
	return r.Header.Get(versionHeader) >= version202607 || m.method == "server/discover" ||
		get(m.params, "_meta", metaVersion) != nil
}

// readBody returns the body as compact JSON. On failure it writes the error and returns false.
func (g *Gateway) readBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		g.fail(w, r, &core.Error{Code: core.CodeUnsupportedMediaType, Message: "Content-Type must be application/json"})
		return nil, false
	}
	if !accepts(r, "application/json") || !accepts(r, "text/event-stream") {
		g.notAcceptable(w, r, "Accept must include both application/json and text/event-stream")
		return nil, false
	}
	// The deadline is removed after the body was read, because it would also end a long stream.
	// Response writers in tests support no deadline.
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(bodyTimeout))
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, g.limits.Body))
	_ = c.SetReadDeadline(time.Time{})
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		g.fail(w, r, &core.Error{
			Code:    core.CodePayloadTooLarge,
			Message: fmt.Sprintf("The request body exceeds the limit of %d bytes", tooLong.Limit),
		})
		return nil, false
	case core.CodeOf(err) == core.CodeUnavailable: // too many bodies are in progress
		g.rejectRequest(w, r, err)
		return nil, false
	case err != nil:
		g.fail(w, r, core.Invalid("body", "The request body could not be read. Send it again."))
		return nil, false
	}
	raw, err := compact(b)
	if err != nil {
		writeError(w, nil, &rpcError{Code: codeParse, Message: "Parse error: the body is " + err.Error()})
		return nil, false
	}
	return raw, true
}

// accepts reports whether the Accept header of a request allows the media type.
func accepts(r *http.Request, kind string) bool {
	family, _, _ := strings.Cut(kind, "/")
	for _, header := range r.Header.Values("Accept") {
		for item := range strings.SplitSeq(header, ",") {
			name, _, _ := strings.Cut(item, ";")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case kind, family + "/*", "*/*":
				return true
			}
		}
	}
	return false
}

// postBatch handles a batch of messages, which revisions up to 2025-03-26 allow.
func (g *Gateway) postBatch(w http.ResponseWriter, r *http.Request, c *caller, items [][]byte) {
	if v := r.Header.Get(versionHeader); v > version202503 {
		writeError(w, nil, &rpcError{
			Code:    codeInvalidRequest,
			Message: "Invalid request: revision " + v + " does not allow batches",
		})
		return
	}
	if len(items) == 0 || len(items) > g.limits.Calls {
		writeError(w, nil, &rpcError{
			Code:    codeInvalidRequest,
			Message: fmt.Sprintf("Invalid request: a batch must have 1 to %d messages", g.limits.Calls),
		})
		return
	}
	messages := make([]*message, 0, len(items))
	for _, item := range items {
		m, err := parseCompact(item)
		if err == nil && m.method == "initialize" {
			err = errors.New("initialize is not allowed in a batch")
		}
		if err != nil {
			writeError(w, nil, &rpcError{Code: codeInvalidRequest, Message: "Invalid request: " + err.Error()})
			return
		}
		messages = append(messages, m)
	}
	g.postLegacy(w, r, c, messages)
}

// checkVersion checks the version header that a legacy client sends within a session. It writes
// an error and returns false if the revision is not supported.
func (g *Gateway) checkVersion(w http.ResponseWriter, r *http.Request) bool {
	v := r.Header.Get(versionHeader)
	if v == "" || slices.Contains(legacyVersions, v) {
		return true
	}
	g.fail(w, r, core.Invalid(versionHeader, "Unsupported protocol version %q: must be one of %s", v,
		strings.Join(legacyVersions, ", ")))
	return false
}
