package main

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

const (
	// maxResumes is the maximum number of consecutive attempts to resume a stream that bring no event.
	maxResumes = 5
	// maxDelay is the longest delay before an attempt.
	maxDelay = 30 * time.Second
	// firstDelay is the default of conn.retryDelay.
	firstDelay = 500 * time.Millisecond
	// closeDelay is the time for which a stream may continue after the answer to its call.
	closeDelay = 250 * time.Millisecond
)

// readStream delivers the events of a response. Up to revision 2025-11-25 it resumes a
// stream that is interrupted.
func (c *conn) readStream(call *rpcCall, resp *http.Response) error {
	s := streamPosition{}
	attempts := 0
	for {
		last := s.id
		answered, err := c.events(call, resp.Body, &s)
		resp.Body.Close()
		if answered {
			return nil
		}
		if err != nil {
			return err
		}
		if s.id == "" || call.modern || c.isAbandoned(call) {
			return c.client.Broke("before its response was complete")
		}
		if s.id != last {
			attempts = 0
		}
		if resp, err = c.resume(call, s, &attempts); err != nil {
			return err
		}
	}
}

// streamPosition is the position at which a stream can be resumed.
type streamPosition struct {
	id    string
	retry time.Duration
}

// resume requests the rest of a stream until it gets one or gives up.
func (c *conn) resume(call *rpcCall, s streamPosition, attempts *int) (*http.Response, error) {
	for {
		*attempts++
		if *attempts > maxResumes {
			return nil, c.client.Broke("before its response was complete, and the response could not be resumed")
		}
		if !wait(call.ctx, c.delay(*attempts, s.retry)) {
			return nil, call.ctx.Err()
		}
		current := c.currentSession()
		if current.id != call.sentIn {
			return nil, c.client.Broke("before its response was complete, and its session has ended")
		}
		resp, err := c.get(call.ctx, current, s.id, notifyTimeout)
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
		// The server had accepted the call, so the call is not repeated, even if the session has expired.
		return nil, c.client.Broke("before its response was complete, and rejected the request to resume it")
	}
}

// events delivers the events of a call's stream until it ends. It returns an error only if
// resuming the stream would not help.
func (c *conn) events(call *rpcCall, body io.ReadCloser, s *streamPosition) (answered bool, err error) {
	events := remote.NewEvents(body, mcptransport.MaxMessage)
	for {
		event, err := events.Next()
		if err != nil {
			return answered, nil //nolint:nilerr // the end of a stream is not an error here
		}
		s.update(event)
		if event.TooLong {
			if event.Head.IsAnswer() && string(event.Head.ID) == string(call.head.ID) {
				return false, remote.ErrTooLong
			}
			c.logTooLong(event)
			continue
		}
		for _, m := range c.messages(event) {
			if c.deliver(call, m) && !answered {
				answered = true
				// The server usually ends the stream soon, and then the HTTP connection can be reused.
				defer time.AfterFunc(closeDelay, func() { body.Close() }).Stop()
			}
		}
	}
}

// update records the position after an event.
func (s *streamPosition) update(e remote.Event) {
	if e.ID != "" {
		s.id = e.ID
	}
	if e.Retry > 0 {
		s.retry = e.Retry
	}
}

// messages returns the messages of an event. It logs an event that it cannot read.
func (c *conn) messages(e remote.Event) [][]byte {
	if e.Name != "message" || len(e.Data) == 0 {
		return nil
	}
	messages, err := remote.Messages(e.Data)
	if err != nil {
		c.inbox.Log("ignored an event: " + err.Error())
	}
	return messages
}

// logTooLong logs a message that exceeds the limit.
func (c *conn) logTooLong(e remote.Event) {
	name := "an answer"
	if e.Head.Method != "" {
		name = e.Head.Method
	}
	c.inbox.Log("dropped " + name + ": it is longer than 16 MiB")
}

// get requests the stream of the server's own messages in a session, or the rest of a stream after
// the event last.
func (c *conn) get(ctx context.Context, s session, last string, timeout time.Duration) (*http.Response, error) {
	h := s.headers()
	h.Set("Accept", "text/event-stream")
	if last != "" {
		h.Set("Last-Event-Id", last)
	}
	return c.client.Do(ctx, remote.Request{Method: http.MethodGet, Header: h, Timeout: timeout})
}

// delay returns the delay before an attempt. The first delay is the requested one, if any.
// Later delays double.
func (c *conn) delay(attempt int, requested time.Duration) time.Duration {
	if attempt == 1 && requested > 0 {
		return min(requested, maxDelay)
	}
	return min(max(requested, c.retryDelay<<(attempt-1)), maxDelay)
}

// wait waits for d. It returns false if the context ends first.
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
