package main

import (
	"context"
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
	ctx       context.Context
	cancel    context.CancelFunc
	closeOnce sync.Once
	// renewing is held while a refused session is renewed.
	renewing chan struct{}

	mu sync.Mutex
	// current is the event stream of the session. replacing is the same stream while it is replaced,
	// because its end then does not end the connection.
	current, replacing *stream
	// initialize is the host's request for the session; nil until it is sent.
	initialize []byte
	// pending has the stream in which the answer to each open call must arrive.
	pending map[string]*stream
}

// openConn opens a connection. It fails with an *sdk.Error.
func openConn(ctx context.Context, client *remote.Client) (*conn, error) {
	c := &conn{
		client: client, inbox: remote.NewInbox(), renewing: make(chan struct{}, 1), pending: map[string]*stream{},
	}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	// While the connection is being opened, the caller's context ends it, too.
	stop := context.AfterFunc(ctx, c.cancel)
	s, err := c.openStream() //nolint:contextcheck // the stream outlives the call
	if !stop() {
		err = &sdk.Error{
			Code: sdk.CodeTimeout, Message: client.Host() + " did not send its endpoint event in time", Retryable: true,
		}
	}
	if err != nil {
		if s != nil {
			s.close()
		}
		c.shutdown("")
		return nil, err
	}
	c.current = s
	go c.read(s)
	c.outbox = remote.NewOutbox(c.ctx, c.inbox) //nolint:contextcheck // it outlives ctx
	return c, nil
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
		if s := c.stream(); s != nil {
			s.close()
		}
		c.client.Close()
	})
}

// stream returns the event stream of the session.
func (c *conn) stream() *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// needs reports whether the connection ends with the stream.
func (c *conn) needs(s *stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current == s && c.replacing != s
}

// read delivers the server's messages until the stream ends. The connection ends with the stream,
// unless another stream has replaced it.
func (c *conn) read(s *stream) {
	defer func() {
		close(s.ended)
		if c.needs(s) {
			c.shutdown(c.client.Host() + " closed the event stream")
		}
	}()
	for {
		event, err := s.events.Next()
		switch {
		case err != nil:
			return
		case event.Name != "message":
		case event.TooLong && event.Head.IsAnswer():
			c.put(s, remote.TooLongAnswer(event.Head.ID))
		case event.TooLong:
			c.inbox.Log("dropped " + event.Head.Method + ": it is longer than 16 MiB")
		case len(event.Data) > 0:
			c.deliver(s, event.Data)
		}
	}
}

// deliver passes on the messages of an event. It logs an event that it cannot read.
func (c *conn) deliver(s *stream, data []byte) {
	messages, err := remote.Messages(data)
	if err != nil {
		c.inbox.Log("ignored an event: " + err.Error())
	}
	for _, m := range messages {
		c.put(s, m)
	}
}

// put passes on a message. The answer to the handshake of a renewed session is not for the host.
func (c *conn) put(s *stream, message []byte) {
	if head := remote.HeadOf(message); head.IsAnswer() {
		if s.takeHandshake(head.ID, message) {
			return
		}
		c.mu.Lock()
		delete(c.pending, string(head.ID))
		c.mu.Unlock()
	}
	c.inbox.Put(message)
}
