package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// firstTime is how long a response waits for its first message before its headers
// go out: by then an error has a status of its own.
const firstTime = 3 * time.Second

// postModern takes a request to the child that all modern clients share.
func (g *Gateway) postModern(w http.ResponseWriter, r *http.Request, c *caller, m *message) {
	if m.isResponse() {
		fail(w, nil, &rpcError{Code: codeInvalidRequest, Message: "Invalid request: this revision has no requests from the server to answer"})
		return
	}
	if !m.isRequest() {
		// A client cancels by closing its request; nothing else is for the child.
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if err := checkHeaders(r.Header, m); err != nil {
		fail(w, m.id, err)
		return
	}
	s, err := g.sharedChild(r.Context(), c)
	if err == nil {
		err = s.enter(c.userID())
	}
	if err != nil {
		g.refuse(w, r, err)
		return
	}
	defer s.leave(c.userID())
	if err := s.checkParams(r.Context(), r.Header, m); err != nil {
		fail(w, m.id, err)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer g.endWith(c.Credential(), cancel)()
	defer context.AfterFunc(s.ctx, cancel)() //nolint:contextcheck // the child's, whose end is that of its calls
	s.serve(ctx, w, m)
}

// serve makes a call, and tells the child when nobody waits for it any more.
func (s *shared) serve(ctx context.Context, w http.ResponseWriter, m *message) {
	out := newStream("", false, s.g.limits.Buffer)
	out.waiting = 1
	one := &call{
		clientID: m.id, method: m.method, out: out, patience: s.g.times.Call,
		logs: get(m.params, "_meta", metaLogLevel) != nil,
	}
	if m.method == methodListen {
		one.patience = 0
	}
	if err := s.link.start(s.ctx, one, m); err != nil { //nolint:contextcheck // the child's, which outlives the request
		fail(w, m.id, err)
		return
	}
	if first, over := out.peek(ctx, firstTime); over {
		if answer, err := cut(first); err == nil && modernStatus(answer.errorCode()) != http.StatusOK {
			writeJSON(w, modernStatus(answer.errorCode()), first)
			return
		}
	}
	if !s.g.eventWriter(w).serve(ctx, out, -1) {
		s.link.abandon(s.ctx, one, "the client has closed the request") //nolint:contextcheck // the request's has ended
	}
}

// modernStatus is HTTP's for an answer's error code, as the revision has it.
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

// named has the path, in params, of what the header Mcp-Name repeats.
var named = map[string]string{"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

// checkHeaders holds the headers against the message that they repeat.
func checkHeaders(h http.Header, m *message) *rpcError {
	version, meta := h.Get(versionHeader), text(get(m.params, "_meta", metaVersion))
	switch {
	case version == "":
		return mismatch("%s is missing", versionHeader)
	case meta == "":
		return &rpcError{Code: codeInvalidParams, Message: fmt.Sprintf("Invalid params: _meta must have %q", metaVersion)}
	case version != meta:
		return mismatch("%s is %q and _meta says %q", versionHeader, version, meta)
	case h.Get(methodHeader) == "":
		return mismatch("%s is missing", methodHeader)
	case h.Get(methodHeader) != m.method:
		return mismatch("%s is %q and the method is %q", methodHeader, h.Get(methodHeader), m.method)
	}
	member := named[m.method]
	if member == "" {
		return nil
	}
	name, ok := decodeHeader(h.Get(nameHeader))
	switch {
	case !ok:
		return mismatch("%s is no valid Base64", nameHeader)
	case name == "":
		return mismatch("%s is missing", nameHeader)
	case name != text(get(m.params, member)):
		return mismatch("%s is %q and params.%s is another", nameHeader, name, member)
	}
	return nil
}

func mismatch(format string, args ...any) *rpcError {
	return &rpcError{Code: codeHeaderMismatch, Message: "Header mismatch: " + fmt.Sprintf(strings.TrimSpace(format), args...)}
}
