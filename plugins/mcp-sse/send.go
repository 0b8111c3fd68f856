package main

import (
	"context"
	"encoding/json"
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
		go c.call(head.ID, message)
		return nil
	}
	return c.outbox.Send(ctx, head, func(ctx context.Context) error { return c.post(ctx, message, notifyTimeout) })
}

// call sends a call. The answer arrives in the event stream, or call answers with an error
// if the server does not accept it.
func (c *conn) call(id json.RawMessage, message []byte) {
	err := c.post(c.ctx, message, c.client.AnswerTimeout())
	if err != nil && c.ctx.Err() == nil {
		c.inbox.Put(remote.ErrorAnswer(id, sdk.AsError(err).Message))
	}
}

// post sends a message and returns an error if the server does not accept it.
func (c *conn) post(ctx context.Context, message []byte, timeout time.Duration) error {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(ctx, remote.Request{
		Method: http.MethodPost, URL: c.endpoint, Header: header, Body: message, Timeout: timeout,
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := c.client.StatusError(resp); err != nil {
		return err
	}
	remote.Drain(resp)
	return nil
}
