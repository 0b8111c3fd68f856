package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// Send implements mcptransport.Conn. Calls and answers may overtake one another, as HTTP
// requests do. Notifications keep their order. Send returns after the server has accepted
// notifications/initialized, so that later messages follow it.
func (c *conn) Send(ctx context.Context, message []byte) error {
	if exit := c.inbox.Exit(); exit != nil {
		return exit
	}
	if len(message) > mcptransport.MaxMessage {
		return &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the message is longer than 16 MiB"}
	}
	head := remote.HeadOf(message)
	if head.IsCall() {
		go c.call(head, message)
		return nil
	}
	return c.outbox.Send(ctx, head, func(ctx context.Context) error { return c.notify(ctx, head, message) })
}

// call sends a call. The answer arrives in the event stream, or call answers with an error
// if the server does not accept it. A call that the server refuses with its session is repeated once
// in a new session. The connection ends after the answer if the session is lost.
func (c *conn) call(head remote.Head, message []byte) {
	err := c.postCall(c.stream(), head, message)
	var refused *refusedError
	if errors.As(err, &refused) && head.Method != "initialize" {
		var s *stream
		if s, err = c.renew(c.ctx, refused.in); err == nil {
			err = c.postCall(s, head, message)
		}
	}
	if err == nil || c.ctx.Err() != nil {
		return
	}
	c.inbox.Put(remote.ErrorAnswer(head.ID, sdk.AsError(err).Message))
	c.endIfLost(err)
}

// postCall sends a call in a session. If it fails, no answer is expected.
func (c *conn) postCall(s *stream, head remote.Head, message []byte) error {
	id := string(head.ID)
	c.mu.Lock()
	c.pending[id] = s
	if head.Method == "initialize" {
		c.initialize = message
	}
	c.mu.Unlock()
	err := c.post(c.ctx, s, message, c.client.AnswerTimeout())
	if err != nil {
		c.mu.Lock()
		delete(c.pending, id)
		c.mu.Unlock()
	}
	return err
}

// notify sends a message that has no answer. A notification that the server refuses with its session
// is repeated once in a new session.
func (c *conn) notify(ctx context.Context, head remote.Head, message []byte) error {
	err := c.post(ctx, c.stream(), message, notifyTimeout)
	var refused *refusedError
	if !errors.As(err, &refused) || head.Method == "notifications/initialized" {
		return err
	}
	if head.IsAnswer() || head.Method == "notifications/cancelled" {
		return nil // it concerns a request of the refused session
	}
	s, err := c.renew(ctx, refused.in)
	if err == nil {
		err = c.post(ctx, s, message, notifyTimeout)
	}
	c.endIfLost(err)
	return err
}

// post sends a message in a session and returns an error if the server does not accept it, which is
// a refusedError if the server does not know the session.
func (c *conn) post(ctx context.Context, s *stream, message []byte, timeout time.Duration) error {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(ctx, remote.Request{
		Method: http.MethodPost, URL: s.endpoint, Header: header, Body: message, Timeout: timeout,
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	failure := c.client.StatusError(resp)
	switch {
	case failure == nil:
		remote.Drain(resp)
		return nil
	case isRefusal(resp):
		return &refusedError{in: s, err: failure}
	}
	return failure
}
