package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// isRefusal reports whether a response means that the server does not know the session: a 404, or a
// 400 without a text or with one about the session. Another 400 is about the message, and must not
// end a session with other calls in progress.
func isRefusal(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusNotFound:
		return true
	case http.StatusBadRequest:
		text, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return err == nil && (len(text) == 0 || strings.Contains(strings.ToLower(string(text)), "session"))
	}
	return false
}

// refusedError is the error of a message that the server refused with its session, and did not
// execute.
type refusedError struct {
	in  *stream
	err *sdk.Error
}

func (e *refusedError) Error() string { return e.err.Error() }

// Unwrap returns the error of the response's status.
func (e *refusedError) Unwrap() error { return e.err }

// lostError is the error of a session that the server refused and that could not be renewed.
type lostError struct{ reason string }

func (e *lostError) Error() string { return e.reason }

// Unwrap returns the error for the host.
func (e *lostError) Unwrap() error {
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: e.reason, Retryable: true}
}

// endIfLost ends the connection if err is a lostError.
func (c *conn) endIfLost(err error) {
	var lost *lostError
	if errors.As(err, &lost) {
		c.shutdown(lost.reason)
	}
}

// renew replaces a session that the server has refused: it opens a new stream, and repeats the host's
// handshake in it. Calls that the server had accepted in the old session fail. renew returns the
// current stream if another message has renewed the session already, or if there is no session yet.
// It fails with a lostError, or with the error of ctx.
func (c *conn) renew(ctx context.Context, refused *stream) (*stream, error) {
	select {
	case c.renewing <- struct{}{}:
		defer func() { <-c.renewing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c.mu.Lock()
	current, initialize := c.current, c.initialize
	if current != refused || initialize == nil {
		c.mu.Unlock()
		return current, nil
	}
	c.replacing = refused
	c.mu.Unlock()
	s, answer, err := c.openSession(initialize) //nolint:contextcheck // the session is for all calls
	if err != nil {
		return nil, &lostError{"the session has expired on " + c.client.Host() + ", and no new session could be opened: " +
			sdk.AsError(err).Message}
	}
	c.mu.Lock()
	c.current = s
	var lost []string
	for id, in := range c.pending {
		if in == refused {
			lost = append(lost, id)
			delete(c.pending, id)
		}
	}
	c.mu.Unlock()
	if c.ctx.Err() != nil {
		s.close() // shutdown may have closed the old stream only
		return nil, c.ctx.Err()
	}
	refused.close()
	c.inbox.Log("the session had expired on " + c.client.Host() + "; opened a new one")
	for _, id := range lost {
		c.inbox.Put(remote.ErrorAnswer(json.RawMessage(id),
			"the session expired before the call was answered; the call may or may not have taken effect"))
	}
	for _, changed := range remote.ListsChanged(answer) {
		c.inbox.Put(changed)
	}
	return s, nil
}

// openSession opens a stream and repeats the host's handshake in it. It returns the server's answer
// to initialize, too.
func (c *conn) openSession(initialize []byte) (*stream, []byte, error) {
	s, err := c.openStream()
	if err != nil {
		return nil, nil, err
	}
	s.expectHandshake(remote.HeadOf(initialize).ID)
	go c.read(s)
	answer, err := c.handshake(s, initialize)
	if err != nil {
		s.close()
		return nil, nil, err
	}
	return s, answer, nil
}

// handshake sends the host's initialize request in a stream, waits for the answer, and completes the
// handshake.
func (c *conn) handshake(s *stream, initialize []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(c.ctx, endpointTimeout)
	defer cancel()
	if err := c.post(ctx, s, initialize, endpointTimeout); err != nil {
		return nil, err
	}
	select {
	case answer := <-s.answer:
		if code, reason := remote.ErrorOf(answer); code != 0 {
			return nil, errors.New(reason)
		}
		return answer, c.post(ctx, s, []byte(remote.Initialized), notifyTimeout)
	case <-s.ended:
		return nil, c.client.Broke("before it answered initialize")
	case <-ctx.Done():
		return nil, &sdk.Error{Code: sdk.CodeTimeout, Message: c.client.Host() + " did not answer initialize in time"}
	}
}
