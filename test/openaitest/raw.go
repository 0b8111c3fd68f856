package openaitest

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"time"
)

// play writes the head of an answer and its frames. Each frame has its time after the start, so that
// delays do not add up.
func (s *Server) play(conn net.Conn, frames [][]byte) bool {
	start := time.Now()
	var timer *time.Timer
	if _, err := conn.Write(streamHead); err != nil {
		return false
	}
	for i, frame := range frames {
		if d := time.Until(start.Add(time.Duration(i+1) * s.opts.Delay)); d > 0 && i < s.opts.Tokens {
			if timer == nil {
				timer = time.NewTimer(d)
			} else {
				timer.Reset(d)
			}
			<-timer.C
		}
		if _, err := conn.Write(frame); err != nil {
			return false
		}
	}
	return true
}

var streamHead = []byte(
	"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n",
)

// serveRaw answers the next request on a connection that has had a stream. Writing to the connection
// directly saves half of net/http's time for each token, and keeping it open saves the client a dial
// for each stream.
func (s *Server) serveRaw(raw *rawWriter, in *bufio.Reader) {
	r, err := http.ReadRequest(in)
	if err != nil {
		raw.broken = true
		return
	}
	raw.recorder = recorder{header: http.Header{}}
	s.ServeHTTP(raw, r)
	if _, err := io.Copy(io.Discard, r.Body); err != nil || raw.broken || raw.status == 0 {
		return
	}
	res := http.Response{
		StatusCode: raw.status, ProtoMajor: 1, ProtoMinor: 1, Header: raw.header,
		ContentLength: int64(len(raw.body)), Body: io.NopCloser(bytes.NewReader(raw.body)),
	}
	raw.broken = res.Write(raw.conn) != nil
}

// keep registers a hijacked connection. It returns false if the server is closed.
func (s *Server) keep(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		_ = conn.Close()
		return false
	default:
	}
	if s.conns == nil {
		s.conns = map[net.Conn]struct{}{}
	}
	s.conns[conn] = struct{}{}
	return true
}

func (s *Server) drop(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	_ = conn.Close()
}

// rawWriter writes responses to a hijacked connection.
type rawWriter struct {
	recorder
	conn net.Conn
	// broken means that the connection cannot be used any more.
	broken bool
}

// recorder is an http.ResponseWriter that keeps the response.
type recorder struct {
	header http.Header
	status int
	body   []byte
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.body = append(r.body, b...)
	return len(b), nil
}

func (r *recorder) WriteHeader(status int) { r.status = status }

func (r *recorder) FlushError() error { return nil }

func (r *recorder) take() []byte {
	b := r.body
	r.body = nil
	return b
}
