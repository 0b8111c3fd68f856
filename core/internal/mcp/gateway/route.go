package gateway

import (
	"strconv"
	"time"
)

func fmtInt(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

// route finds the stream for what the child sends on its own.
func (s *session) route(m *message) {
	if m.isRequest() && !s.note(m) {
		return
	}
	s.target(m).put(m.raw)
}

// note remembers that the child has asked. It says whether the client is to be
// asked.
func (s *session) note(m *message) bool {
	if m.method == "ping" && !s.reachable() {
		s.link.tell(s.ctx, (&message{raw: []byte(`{"jsonrpc":"2.0","id":0,"result":{}}`), idStart: 22, idEnd: 23}).withID(m.id))
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) >= s.g.limits.Calls {
		go s.link.tell(s.ctx, (&rpcError{Code: codeServer, Message: "Too many requests wait for the client's answer"}).answer(m.id))
		return false
	}
	s.asked[string(m.id)] = time.Now()
	return true
}

// reachable says whether a message would reach the client now.
func (s *session) reachable() bool {
	if s.own.isOpen() {
		return true
	}
	_, n := s.link.find(func(c *call) bool { return c.out.isOpen() })
	return n > 0
}

func (s *session) target(m *message) *stream {
	if m.method == "notifications/progress" {
		token := string(get(m.params, "progressToken"))
		if c, n := s.link.find(func(c *call) bool { return c.token != nil && c.progress == token }); n > 0 {
			return c.out
		}
	}
	newest, n := s.link.find(func(*call) bool { return true })
	switch {
	case n == 1:
		return newest.out
	case s.own.isOpen() || n == 0:
		return s.own
	default:
		return newest.out
	}
}
