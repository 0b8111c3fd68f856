package main

import (
	"net/http"
	"time"

	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// steady is how long a stream has to last to be no failure.
const steady = 30 * time.Second

// listenOnce opens the stream for messages that the server sends of its own
// accord. Revisions without sessions have none.
func (c *conn) listenOnce() {
	c.mu.Lock()
	start := !c.listening && c.session.revision != "" && c.session.revision < modernFrom && c.ctx.Err() == nil
	c.listening = c.listening || start
	c.mu.Unlock()
	if start {
		go c.listen()
	}
}

// listen keeps the stream open. A server that can't be reached for some time is
// lost, and with it the connection; one that ends its streams is only asked less
// and less often.
func (c *conn) listen() {
	s := position{}
	opened, lost, short := false, 0, 0
	for {
		resp, err := c.get(c.ctx, s.id, 0)
		switch {
		case c.ctx.Err() != nil:
			if err == nil {
				resp.Body.Close()
			}
			return
		case err != nil:
			lost++
			if lost > resumes {
				c.end("the connection is lost: " + err.Error())
				return
			}
		case resp.StatusCode == http.StatusOK && remote.MediaType(resp) == "text/event-stream":
			opened, lost = true, 0
			if c.hear(resp, &s) {
				short = 0
			}
		default:
			resp.Body.Close()
			if !c.mayListen(resp, opened) {
				return
			}
		}
		try := lost
		if lost == 0 {
			short++
			try = min(short, 8)
		}
		if !wait(c.ctx, c.delay(try, s.retry)) {
			return
		}
	}
}

// mayListen says whether to ask for the stream again after an answer that is none.
func (c *conn) mayListen(resp *http.Response, opened bool) bool {
	switch {
	case opened && resp.StatusCode == http.StatusNotFound && c.sessionID() != "":
		c.expire()
		return false
	case resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented, resp.StatusCode == http.StatusTooManyRequests:
		return true
	case resp.StatusCode != http.StatusMethodNotAllowed:
		// Servers say in many ways that they have no such stream.
		c.inbox.Log("the server has no stream for messages of its own: " + resp.Status)
	}
	return false
}

// hear delivers the events of a stream until it ends, and says whether it was of
// use.
func (c *conn) hear(resp *http.Response, s *position) bool {
	defer resp.Body.Close()
	since := time.Now()
	last := s.id
	events := remote.NewEvents(resp.Body, mcptransport.MaxMessage)
	for {
		event, err := events.Next()
		if err != nil {
			return s.id != last || time.Since(since) > steady
		}
		s.note(event)
		if event.TooLong {
			if event.Head.IsAnswer() {
				c.inbox.Put(remote.TooLongAnswer(event.Head.ID))
			} else {
				c.tooLong(event)
			}
			continue
		}
		for _, m := range c.messages(event) {
			c.inbox.Put(m)
		}
	}
}
