package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// firstMessageTimeout is the maximum time that a response waits for its first message before it
// sends its headers. An error that arrives by then determines the HTTP status.
const firstMessageTimeout = 3 * time.Second

// postModern sends a request to the upstream that all modern clients of the server share.
func (g *Gateway) postModern(w http.ResponseWriter, r *http.Request, c *caller, m *message) {
	if m.isResponse() {
		writeError(w, nil, &rpcError{
			Code:    codeInvalidRequest,
			Message: "Invalid request: responses are not allowed in this protocol revision",
		})
		return
	}
	if !m.isRequest() {
		// The message is a notification. A modern client cancels a call by closing its request,
		// and servers need no other notification.
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if err := checkHeaders(r.Header, m); err != nil {
		writeError(w, m.id, err)
		return
	}
	s, err := g.sharedUpstream(r.Context(), c)
	if err == nil {
		err = s.beginCall(c.userID())
	}
	if err != nil {
		g.rejectRequest(w, r, err)
		return
	}
	defer s.endCall(c.userID())
	if err := s.checkParams(r.Context(), r.Header, m); err != nil {
		writeError(w, m.id, err)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer g.onLogout(c.Credential(), cancel)()
	defer context.AfterFunc(s.ctx, cancel)() //nolint:contextcheck // calls end with the connection
	s.serve(ctx, w, m)
}

// serve sends a request and writes its response. When the client closes the request, serve
// cancels the call at the server.
func (s *sharedUpstream) serve(ctx context.Context, w http.ResponseWriter, m *message) {
	out := newStream("", false, s.g.limits.Buffer)
	out.pending = 1
	c := &call{
		clientID: m.id, method: m.method, out: out, timeout: s.g.times.Call,
		logs: get(m.params, "_meta", metaLogLevel) != nil,
	}
	if m.method == methodListen {
		c.timeout = 0
	}
	if err := s.upstream.start(s.ctx, c, m); err != nil { //nolint:contextcheck // the connection outlives the request
		writeError(w, m.id, err)
		return
	}
	if first := out.peek(ctx, firstMessageTimeout); first != nil {
		if answer, err := parseCompact(first); err == nil && modernStatus(answer.errorCode()) != http.StatusOK {
			writeJSON(w, modernStatus(answer.errorCode()), first)
			return
		}
	}
	if !s.g.eventWriter(w).serve(ctx, out, -1) {
		//nolint:contextcheck // the context of the request has ended
		s.upstream.abandon(s.ctx, c, "the client closed the request")
	}
}

// modernStatus returns the HTTP status that the modern revision assigns to an error code.
func modernStatus(code int) int {
	switch code {
	case codeMethodNotFound:
		return http.StatusNotFound
	case codeInvalidParams, codeInvalidRequest, codeHeaderMismatch, codeMissingCapability, codeUnsupportedVersion:
		return http.StatusBadRequest
	default:
		return http.StatusOK
	}
}

// nameParams maps a method to the member of params that the Mcp-Name header repeats.
var nameParams = map[string]string{"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

// checkHeaders checks that the headers match the members of the message that they repeat.
func checkHeaders(h http.Header, m *message) *rpcError {
	version, meta := h.Get(versionHeader), stringValue(get(m.params, "_meta", metaVersion))
	switch {
	case version == "":
		return mismatch("%s is missing", versionHeader)
	case meta == "":
		return &rpcError{
			Code:    codeInvalidParams,
			Message: fmt.Sprintf("Invalid params: _meta must contain %q", metaVersion),
		}
	case version != meta:
		return mismatch("%s is %q, but _meta contains %q", versionHeader, version, meta)
	case h.Get(methodHeader) == "":
		return mismatch("%s is missing", methodHeader)
	case h.Get(methodHeader) != m.method:
		return mismatch("%s is %q, but the method is %q", methodHeader, h.Get(methodHeader), m.method)
	}
	member := nameParams[m.method]
	if member == "" {
		return nil
	}
	name, ok := decodeHeader(h.Get(nameHeader))
	switch {
	case !ok:
		return mismatch("%s is not valid Base64", nameHeader)
	case name == "":
		return mismatch("%s is missing", nameHeader)
	case name != stringValue(get(m.params, member)):
		return mismatch("%s is %q, which differs from params.%s", nameHeader, name, member)
	}
	return nil
}

// mismatch returns an error with codeHeaderMismatch.
func mismatch(format string, args ...any) *rpcError {
	return &rpcError{
		Code:    codeHeaderMismatch,
		Message: "Header mismatch: " + fmt.Sprintf(strings.TrimSpace(format), args...),
	}
}
