package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// answer is the result of one request.
type answer struct {
	// first is the time to the first token of a stream, and total the time to the end of the answer.
	// Both start before the request is written.
	first, total time.Duration
	tokens       int
	err          error
}

// client sends requests on one keep-alive connection. It is minimal, because net/http's client would
// need more CPU time than the proxy.
type client struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
	buf     []byte
	req     []byte
}

func newClient(address string) *client {
	return &client{address: address, buf: make([]byte, 0, 8<<10)}
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// do sends a request and reads its answer. After a failure, the next request opens a new connection.
func (c *client) do(ctx context.Context, t target, turn turn) answer {
	if c.conn == nil {
		conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", c.address)
		if err != nil {
			return answer{err: err}
		}
		c.conn, c.in = conn, bufio.NewReaderSize(conn, 8<<10)
	}
	c.req = t.request(c.req[:0], turn)
	begin := time.Now()
	_ = c.conn.SetDeadline(begin.Add(time.Minute))
	a := c.exchange(t, turn.stream, begin)
	if a.err != nil {
		c.close()
	}
	return a
}

func (c *client) exchange(t target, stream bool, begin time.Time) answer {
	if _, err := c.conn.Write(c.req); err != nil {
		return answer{err: err}
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return answer{err: fmt.Errorf("%s: %s", resp.Status, text)}
	}
	a := answer{}
	if stream {
		a = c.events(t, resp.Body, begin)
	} else {
		a.tokens, a.err = c.reply(resp.Body)
	}
	a.total = time.Since(begin)
	if a.err == nil && resp.Close {
		a.err = errors.New("the connection was not kept alive")
	}
	return a
}

// reply counts the tokens of an answer that is not streamed.
func (c *client) reply(body io.Reader) (int, error) {
	b := bytes.NewBuffer(c.buf[:0])
	_, err := b.ReadFrom(body)
	c.buf = b.Bytes()
	return bytes.Count(c.buf, tokenMark), err
}

// events reads a stream of server-sent events to its end, and counts the tokens.
func (c *client) events(t target, body io.Reader, begin time.Time) answer {
	var a answer
	ended := false
	buf := c.buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		rest := buf
		for {
			line, after, complete := bytes.Cut(rest, []byte("\n"))
			if !complete {
				break
			}
			rest = after
			switch t.kind(line) {
			case tokenEvent:
				if a.tokens == 0 {
					a.first = time.Since(begin)
				}
				a.tokens += bytes.Count(line, tokenMark)
			case endEvent:
				ended = true
			case errorEvent:
				a.err = fmt.Errorf("the stream failed: %s", line)
			case otherEvent:
			}
		}
		buf = buf[:copy(buf, rest)]
		if err != nil {
			c.buf = buf[:0]
			if err != io.EOF {
				a.err = err
			} else if !ended && a.err == nil {
				a.err = errors.New("the stream ended without its last event")
			}
			return a
		}
	}
}
