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
	// welcome is how long a server may take to say where messages go.
	welcome = 30 * time.Second
	// briefly is how long it may take to say that it has a notification.
	briefly = 30 * time.Second
	// queued is how many notifications may wait for the one before.
	queued = 64
)

// conn carries the messages of one connection: those of the server come by one
// event stream, those to it are requests of their own.
type conn struct {
	client *remote.Client
	inbox  *remote.Inbox
	// ctx ends with the connection.
	ctx    context.Context
	cancel context.CancelFunc
	events *remote.Events
	stream *http.Response
	// endpoint is where messages go.
	endpoint *url.URL
	notes    chan outgoing
	end      sync.Once
}

type outgoing struct {
	text []byte
	head remote.Head
}

// open fails with an *sdk.Error.
func open(ctx context.Context, client *remote.Client) (*conn, error) {
	c := &conn{client: client, inbox: remote.NewInbox(), notes: make(chan outgoing, queued)}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	// Until it is open the stream ends with the caller's patience too.
	stop := context.AfterFunc(ctx, c.cancel)
	timer := time.AfterFunc(welcome, c.cancel)
	err := c.open()
	if !stop() || !timer.Stop() {
		err = &sdk.Error{Code: sdk.CodeTimeout, Message: client.Host() + " did not say in time where messages go", Retryable: true}
	}
	if err != nil {
		c.finish("")
		return nil, err
	}
	go c.listen()
	go c.notify()
	return c, nil
}

func (c *conn) open() (err error) {
	header := http.Header{}
	header.Set("Accept", "text/event-stream")
	c.stream, err = c.client.Do(c.ctx, remote.Request{Method: http.MethodGet, Header: header}) //nolint:bodyclose // finish closes it
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
			return c.client.Broke("before it said where messages go")
		}
		if event.Name == "endpoint" {
			return c.setEndpoint(string(event.Data))
		}
	}
}

// setEndpoint keeps messages and headers with the server that the config names.
func (c *conn) setEndpoint(text string) error {
	u, err := c.stream.Request.URL.Parse(text)
	if err != nil || text == "" {
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: c.client.Host() + " says no valid URL for messages"}
	}
	if !c.client.SameOrigin(u) {
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: c.client.Host() + " wants messages to go to another server, where nothing is sent"}
	}
	c.endpoint = u
	return nil
}

// Info implements mcptransport.Conn: there is no process.
func (c *conn) Info() mcptransport.Info { return mcptransport.Info{} }

// Receive implements mcptransport.Conn.
func (c *conn) Receive(ctx context.Context) (mcptransport.Frame, error) { return c.inbox.Receive(ctx) }

// Close implements mcptransport.Conn: the end of the stream is the session's.
func (c *conn) Close() error {
	c.finish("the connection was closed")
	return nil
}

func (c *conn) finish(why string) {
	c.end.Do(func() {
		c.inbox.End(why)
		c.cancel()
		if c.stream != nil {
			c.stream.Body.Close()
		}
		c.client.Close()
	})
}

// listen passes on what the server sends.
func (c *conn) listen() {
	defer c.finish(c.client.Host() + " ended the event stream")
	for {
		event, err := c.events.Next()
		switch {
		case err != nil:
			return
		case event.Name != "message":
		case event.TooLong && event.Head.IsAnswer():
			c.inbox.Put(remote.TooLongAnswer(event.Head.ID))
		case event.TooLong:
			c.inbox.Log(event.Head.Method + " was longer than a message may be and is left out")
		case len(event.Data) > 0:
			c.pass(event.Data)
		}
	}
}

func (c *conn) pass(data []byte) {
	messages, err := remote.Messages(data)
	if err != nil {
		c.inbox.Log("an event holds " + err.Error() + " and is left out")
	}
	for _, m := range messages {
		c.inbox.Put(m)
	}
}
