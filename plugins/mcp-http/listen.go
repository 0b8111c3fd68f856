package main

import (
	"net/http"
	"time"

	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// minStreamDuration is the minimum duration of a stream without events that does not count as short.
const minStreamDuration = 30 * time.Second

// listenOnce opens the stream for the server's own messages. Revisions without sessions
// have none.
func (c *conn) listenOnce() {
	c.mu.Lock()
	start := !c.listening && c.session.revision != "" && c.session.revision < modernFrom && c.ctx.Err() == nil
	c.listening = c.listening || start
	c.mu.Unlock()
	if start {
		go c.listen()
	}
}

// listen keeps the stream open. The connection ends when the server is unreachable for some
// time. If the server keeps ending its streams, they are reopened less and less often.
func (c *conn) listen() {
	s := streamPosition{}
	opened, failures, shortStreams := false, 0, 0
	for {
		resp, err := c.get(c.ctx, s.id, 0)
		switch {
		case c.ctx.Err() != nil:
			if err == nil {
				resp.Body.Close()
			}
			return
		case err != nil:
			failures++
			if failures > maxResumes {
				c.shutdown("the connection was lost: " + err.Error())
				return
			}
		case resp.StatusCode == http.StatusOK && remote.MediaType(resp) == "text/event-stream":
			opened, failures = true, 0
			if c.readEvents(resp, &s) {
				shortStreams = 0
			}
		default:
			resp.Body.Close()
			if !c.shouldReconnect(resp, opened) {
				return
			}
		}
		attempt := failures
		if failures == 0 {
			shortStreams++
			attempt = min(shortStreams, 8)
		}
		if !wait(c.ctx, c.delay(attempt, s.retry)) {
			return
		}
	}
}

// shouldReconnect reports whether to request the stream again after a response that is not
// a stream.
func (c *conn) shouldReconnect(resp *http.Response, opened bool) bool {
	switch {
	case opened && resp.StatusCode == http.StatusNotFound && c.sessionID() != "":
		c.endExpired()
		return false
	case resp.StatusCode >= 500 &&
		resp.StatusCode != http.StatusNotImplemented, resp.StatusCode == http.StatusTooManyRequests:
		return true
	case resp.StatusCode != http.StatusMethodNotAllowed:
		// Servers without such a stream respond in various ways.
		c.inbox.Log("the server offers no stream for its own messages: " + resp.Status)
	}
	return false
}

// readEvents delivers the events of a stream until it ends. It reports whether the stream
// brought an event with an id or lasted long enough.
func (c *conn) readEvents(resp *http.Response, s *streamPosition) bool {
	defer resp.Body.Close()
	start := time.Now()
	last := s.id
	events := remote.NewEvents(resp.Body, mcptransport.MaxMessage)
	for {
		event, err := events.Next()
		if err != nil {
			return s.id != last || time.Since(start) > minStreamDuration
		}
		s.update(event)
		if event.TooLong {
			if event.Head.IsAnswer() {
				c.inbox.Put(remote.TooLongAnswer(event.Head.ID))
			} else {
				c.logTooLong(event)
			}
			continue
		}
		for _, m := range c.messages(event) {
			c.inbox.Put(m)
		}
	}
}
