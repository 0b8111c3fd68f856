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

// Send implements mcptransport.Conn. Calls and answers overtake one another, as
// on HTTP they may; notifications do not. What comes after
// notifications/initialized is sent when the server has that.
func (c *conn) Send(ctx context.Context, message []byte) error {
	if exit := c.inbox.Exit(); exit != nil {
		return exit
	}
	if len(message) > mcptransport.MaxMessage {
		return &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the message is too long"}
	}
	m := outgoing{text: message, head: remote.HeadOf(message)}
	switch {
	case m.head.IsCall():
		go c.call(m)
	case m.head.IsAnswer():
		go c.tell(c.ctx, m) //nolint:contextcheck // it goes on when Send is over
	case m.head.Method == "notifications/initialized":
		c.tell(ctx, m)
	default:
		select {
		case c.notes <- m:
		case <-ctx.Done():
			return ctx.Err()
		case <-c.ctx.Done():
		}
	}
	return nil
}

// notify sends notifications one after the other.
func (c *conn) notify() {
	for {
		select {
		case m := <-c.notes:
			c.tell(c.ctx, m)
		case <-c.ctx.Done():
			return
		}
	}
}

// call sends a call. It answers it when the server can't have it: else the answer
// comes by the stream.
func (c *conn) call(m outgoing) {
	err := c.post(c.ctx, m, c.client.AnswerTimeout())
	if err != nil && c.ctx.Err() == nil {
		c.inbox.Put(remote.ErrorAnswer(m.head.ID, sdk.AsError(err).Message))
	}
}

// tell sends what is not answered. The log has it when the server does not take it.
func (c *conn) tell(ctx context.Context, m outgoing) {
	err := c.post(ctx, m, briefly)
	if err == nil || c.ctx.Err() != nil {
		return
	}
	what := m.head.Method
	if what == "" {
		what = "an answer"
	}
	c.inbox.Log(what + " was not taken: " + sdk.AsError(err).Message)
}

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
		_, _ = io.CopyN(io.Discard, resp.Body, 4096) // the connection can be used again
	}
	return nil
}
