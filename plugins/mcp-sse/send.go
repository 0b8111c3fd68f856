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
	m := outgoing{text: message, head: remote.HeadOf(message)}
	switch {
	case m.head.IsCall():
		go c.call(m)
	case m.head.IsAnswer():
		go c.sendOrLog(c.ctx, m) //nolint:contextcheck // continues after Send returns
	case m.head.Method == "notifications/initialized":
		c.sendOrLog(ctx, m)
	default:
		select {
		case c.notifications <- m:
		case <-ctx.Done():
			return ctx.Err()
		case <-c.ctx.Done():
		}
	}
	return nil
}

// sendNotifications sends notifications one after the other until the connection ends.
func (c *conn) sendNotifications() {
	for {
		select {
		case m := <-c.notifications:
			c.sendOrLog(c.ctx, m)
		case <-c.ctx.Done():
			return
		}
	}
}

// call sends a call. The answer arrives in the event stream, or call answers with an error
// if the server does not accept it.
func (c *conn) call(m outgoing) {
	err := c.post(c.ctx, m, c.client.AnswerTimeout())
	if err != nil && c.ctx.Err() == nil {
		c.inbox.Put(remote.ErrorAnswer(m.head.ID, sdk.AsError(err).Message))
	}
}

// sendOrLog sends a message that has no answer. It logs an error in the server's log.
func (c *conn) sendOrLog(ctx context.Context, m outgoing) {
	err := c.post(ctx, m, notifyTimeout)
	if err == nil || c.ctx.Err() != nil {
		return
	}
	name := m.head.Method
	if name == "" {
		name = "an answer"
	}
	c.inbox.Log("could not send " + name + ": " + sdk.AsError(err).Message)
}

// post sends a message and returns an error if the server does not accept it.
func (c *conn) post(ctx context.Context, m outgoing, timeout time.Duration) error {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(ctx, remote.Request{
		Method: http.MethodPost, URL: c.endpoint, Header: header, Body: m.text, Timeout: timeout,
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := c.client.StatusError(resp); err != nil {
		return err
	}
	if resp.ContentLength >= 0 {
		_, _ = io.CopyN(io.Discard, resp.Body, 4096) // so that the HTTP connection can be reused
	}
	return nil
}
