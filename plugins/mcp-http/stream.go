package main

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

const (
	// resumes is how often in a row a stream is taken up again that brings nothing.
	resumes = 5
	// maxDelay is the longest that is waited before a try.
	maxDelay = 30 * time.Second
	// firstDelay is the usual pace.
	firstDelay = 500 * time.Millisecond
	// linger is how long a stream may go on after its answer.
	linger = 250 * time.Millisecond
)

// stream takes an answer that comes as events. Up to revision 2025-11-25 a stream
// that breaks is taken up again where it was.
func (c *conn) stream(t *call, resp *http.Response) error {
	s := position{}
	tries := 0
	for {
		last := s.id
		answered, err := c.events(t, resp.Body, &s)
		resp.Body.Close()
		if answered {
			return nil
		}
		if err != nil {
			return err
		}
		if s.id == "" || t.modern || c.isGivenUp(t) {
			return c.client.Broke("before its answer")
		}
		if s.id != last {
			tries = 0
		}
		if resp, err = c.resume(t, s, &tries); err != nil {
			return err
		}
	}
}

// position is where a stream can be taken up again.
type position struct {
	id    string
	retry time.Duration
}

// resume asks again until there is a stream, or no hope.
func (c *conn) resume(t *call, s position, tries *int) (*http.Response, error) {
	for {
		*tries++
		if *tries > resumes {
			return nil, c.client.Broke("before its answer, and again when it was asked for the rest")
		}
		if !wait(t.ctx, c.delay(*tries, s.retry)) {
			return nil, t.ctx.Err()
		}
		resp, err := c.get(t.ctx, s.id, briefly)
		if err != nil {
			continue
		}
		if resp.StatusCode == http.StatusOK && remote.MediaType(resp) == "text/event-stream" {
			return resp, nil
		}
		resp.Body.Close()
		if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
			continue
		}
		if c.expired(resp, t.outgoing) {
			return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: "the session has expired"}
		}
		return nil, c.client.Broke("before its answer, and does not give the rest")
	}
}

// events delivers a call's events until the stream ends. An error is one that
// taking the stream up again would not help.
func (c *conn) events(t *call, body io.ReadCloser, s *position) (answered bool, err error) {
	events := remote.NewEvents(body, mcptransport.MaxMessage)
	for {
		event, err := events.Next()
		if err != nil {
			return answered, nil //nolint:nilerr // a stream that ends says no more
		}
		s.note(event)
		if event.TooLong {
			if event.Head.IsAnswer() && string(event.Head.ID) == string(t.head.ID) {
				return false, remote.ErrTooLong
			}
			c.tooLong(event)
			continue
		}
		for _, m := range c.messages(event) {
			if c.deliver(t, m) && !answered {
				answered = true
				// The server ends the stream soon; its connection is of use then.
				defer time.AfterFunc(linger, func() { body.Close() }).Stop()
			}
		}
	}
}

func (s *position) note(e remote.Event) {
	if e.ID != "" {
		s.id = e.ID
	}
	if e.Retry > 0 {
		s.retry = e.Retry
	}
}

// messages are those of an event; none of an event that is of no use.
func (c *conn) messages(e remote.Event) [][]byte {
	if e.Name != "message" || len(e.Data) == 0 {
		return nil
	}
	messages, err := remote.Messages(e.Data)
	if err != nil {
		c.inbox.Log("an event holds " + err.Error() + " and is left out")
	}
	return messages
}

func (c *conn) tooLong(e remote.Event) {
	what := "an answer"
	if e.Head.Method != "" {
		what = e.Head.Method
	}
	c.inbox.Log(what + " was longer than a message may be and is left out")
}

// get asks for a stream: the server's own, or the rest of one.
func (c *conn) get(ctx context.Context, last string, timeout time.Duration) (*http.Response, error) {
	h := c.legacyHeaders()
	h.Set("Accept", "text/event-stream")
	if last != "" {
		h.Set("Last-Event-Id", last)
	}
	return c.client.Do(ctx, remote.Request{Method: http.MethodGet, Header: h, Timeout: timeout})
}

// delay doubles with each try, and is the first time what the server asks for.
func (c *conn) delay(try int, asked time.Duration) time.Duration {
	if try == 1 && asked > 0 {
		return min(asked, maxDelay)
	}
	return min(max(asked, c.pace<<(try-1)), maxDelay)
}

func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
