package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// minStreamDuration is the minimum duration of a stream without events that does not count as short.
const minStreamDuration = 30 * time.Second

// listenOnce opens the stream for the server's own messages, unless the session has one.
// Revisions without sessions have none. shortStreams is the number of consecutive streams that the
// server has ended too early.
func (c *conn) listenOnce(shortStreams int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.session
	if c.stopListening != nil || s.revision == "" || s.revision >= modernFrom || c.ctx.Err() != nil {
		return
	}
	ctx, stop := context.WithCancel(c.ctx)
	c.stopListening = stop
	go c.listen(ctx, s, shortStreams)
}

// listen keeps the stream of a session open until ctx ends. The connection ends when the server is
// unreachable for some time. If the server keeps ending its streams, they are reopened less and
// less often.
func (c *conn) listen(ctx context.Context, in session, shortStreams int) {
	s := streamPosition{}
	opened, failures := false, 0
	for {
		resp, err := c.get(ctx, in, s.id, 0)
		switch {
		case ctx.Err() != nil:
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
		case opened && isRefusal(in.id, resp.StatusCode, nil, nil):
			resp.Body.Close()
			c.renewStream(ctx, in, shortStreams+1)
			return
		default:
			resp.Body.Close()
			if !c.shouldReconnect(resp) {
				return
			}
		}
		attempt := failures
		if failures == 0 {
			shortStreams++
			attempt = min(shortStreams, 8)
		}
		if !wait(ctx, c.delay(attempt, s.retry)) {
			return
		}
	}
}

// renewStream replaces a session that the server has forgotten while no call was in progress, so
// that the server's own messages continue to arrive.
func (c *conn) renewStream(ctx context.Context, in session, shortStreams int) {
	if !wait(ctx, c.delay(min(shortStreams, 8), 0)) {
		return
	}
	var lost *lostError
	if errors.As(c.renew(ctx, in.id, shortStreams), &lost) {
		c.shutdown(lost.reason)
	}
}

// shouldReconnect reports whether to request the stream again after a response that is not
// a stream.
func (c *conn) shouldReconnect(resp *http.Response) bool {
	switch {
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
