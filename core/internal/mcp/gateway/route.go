package gateway

import (
	"strconv"
	"time"
)

// formatInt returns n in decimal.
func formatInt(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

// onServerMessage adds a notification or request of the server to the stream that fits it best.
func (s *session) onServerMessage(m *message) {
	if m.isRequest() && !s.trackRequest(m) {
		return
	}
	s.streamFor(m).add(m.raw)
}

// trackRequest records a request of the server. It reports whether the request is to be sent to
// the client. It answers a ping itself when no stream to the client is open.
func (s *session) trackRequest(m *message) bool {
	if m.method == "ping" && !s.isReachable() {
		pong := &message{raw: []byte(`{"jsonrpc":"2.0","id":0,"result":{}}`), idStart: 22, idEnd: 23}
		s.upstream.send(s.ctx, pong.withID(m.id))
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.serverRequests) >= s.g.limits.Calls {
		tooMany := &rpcError{Code: codeServer, Message: "Too many requests are waiting for the client"}
		go s.upstream.send(s.ctx, tooMany.response(m.id))
		return false
	}
	s.serverRequests[string(m.id)] = time.Now()
	return true
}

// isReachable reports whether a stream to the client is open.
func (s *session) isReachable() bool {
	if s.standalone.isOpen() {
		return true
	}
	_, n := s.upstream.find(func(c *call) bool { return c.out.isOpen() })
	return n > 0
}

// streamFor returns the stream for a message of the server, in the order that the package
// documentation describes.
func (s *session) streamFor(m *message) *stream {
	if m.method == "notifications/progress" {
		token := string(get(m.params, "progressToken"))
		if c, n := s.upstream.find(func(c *call) bool { return c.token != nil && c.progress == token }); n > 0 {
			return c.out
		}
	}
	newest, n := s.upstream.find(func(*call) bool { return true })
	switch {
	case n == 1:
		return newest.out
	case s.standalone.isOpen() || n == 0:
		return s.standalone
	default:
		return newest.out
	}
}
