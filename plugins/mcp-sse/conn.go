package main

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

const (
	// endpointTimeout is the maximum time for a server to send the endpoint event.
	endpointTimeout = 30 * time.Second
	// notifyTimeout is the maximum time for a server to accept a notification.
	notifyTimeout = 30 * time.Second
)

// conn is one connection. The server's messages arrive in one event stream. Each message to
// the server is an HTTP request.
type conn struct {
	client *remote.Client
	inbox  *remote.Inbox
	outbox *remote.Outbox
	// ctx ends with the connection.
	ctx    context.Context
	cancel context.CancelFunc
	events *remote.Events
	stream *http.Response
	// endpoint is the URL for messages to the server.
	endpoint  *url.URL
	closeOnce sync.Once
}

// openConn opens a connection. It fails with an *sdk.Error.
func openConn(ctx context.Context, client *remote.Client) (*conn, error) {
	c := &conn{client: client, inbox: remote.NewInbox()}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	// While the connection is being opened, the caller's context and the timeout end it, too.
	stop := context.AfterFunc(ctx, c.cancel)
	timer := time.AfterFunc(endpointTimeout, c.cancel)
	err := c.openStream()
	if !stop() || !timer.Stop() {
		err = &sdk.Error{
			Code: sdk.CodeTimeout, Message: client.Host() + " did not send its endpoint event in time", Retryable: true,
		}
	}
	if err != nil {
		c.shutdown("")
		return nil, err
	}
	go c.readStream()
	c.outbox = remote.NewOutbox(c.ctx, c.inbox) //nolint:contextcheck // it outlives ctx
	return c, nil
}

// openStream requests the event stream and waits for the endpoint event.
func (c *conn) openStream() (err error) {
	header := http.Header{}
	header.Set("Accept", "text/event-stream")
	c.stream, err = c.client.Do(c.ctx, remote.Request{Method: http.MethodGet, Header: header}) //nolint:bodyclose // shutdown closes it
	if err != nil {
		return err
	}
	if err := c.client.StatusError(c.stream); err != nil {
		return err
	}
	if remote.MediaType(c.stream) != "text/event-stream" {
		return c.client.Unexpected(c.stream)
	}
	c.events = remote.NewEvents(c.stream.Body, mcptransport.MaxMessage)
	for {
		event, err := c.events.Next()
		if err != nil {
			return c.client.Broke("before it sent its endpoint event")
		}
		if event.Name == "endpoint" {
			return c.setEndpoint(string(event.Data))
		}
	}
}

// setEndpoint stores the URL for messages. It must have the origin of the URL in the
// config, so that messages and headers are not sent to another server.
func (c *conn) setEndpoint(text string) error {
	u, err := c.stream.Request.URL.Parse(text)
	if err != nil || text == "" {
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: c.client.Host() + " sent an endpoint event with an invalid URL"}
	}
	if !c.client.SameOrigin(u) {
		return &sdk.Error{
			Code:    sdk.CodeUnavailable,
			Message: c.client.Host() + " sent an endpoint on another server, which is not allowed",
		}
	}
	c.endpoint = u
	return nil
}

// Info implements mcptransport.Conn. There is no process.
func (c *conn) Info() mcptransport.Info { return mcptransport.Info{} }

// Receive implements mcptransport.Conn.
func (c *conn) Receive(ctx context.Context) (mcptransport.Frame, error) { return c.inbox.Receive(ctx) }

// Close implements mcptransport.Conn. The end of the stream ends the session.
func (c *conn) Close() error {
	c.shutdown("the connection was closed")
	return nil
}

// shutdown ends the connection and everything in progress.
func (c *conn) shutdown(reason string) {
	c.closeOnce.Do(func() {
		c.inbox.End(reason)
		c.cancel()
		if c.stream != nil {
			c.stream.Body.Close()
		}
		c.client.Close()
	})
}

// readStream delivers the server's messages until the stream ends.
func (c *conn) readStream() {
	defer c.shutdown(c.client.Host() + " closed the event stream")
	for {
		event, err := c.events.Next()
		switch {
		case err != nil:
			return
		case event.Name != "message":
		case event.TooLong && event.Head.IsAnswer():
			c.inbox.Put(remote.TooLongAnswer(event.Head.ID))
		case event.TooLong:
			c.inbox.Log("dropped " + event.Head.Method + ": it is longer than 16 MiB")
		case len(event.Data) > 0:
			c.deliver(event.Data)
		}
	}
}

// deliver passes on the messages of an event. It logs an event that it cannot read.
func (c *conn) deliver(data []byte) {
	messages, err := remote.Messages(data)
	if err != nil {
		c.inbox.Log("ignored an event: " + err.Error())
	}
	for _, m := range messages {
		c.inbox.Put(m)
	}
}
