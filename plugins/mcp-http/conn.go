package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

const (
	// notifyTimeout is the maximum time for a server to accept a notification.
	notifyTimeout = 30 * time.Second
	// deleteTimeout is the maximum duration of the request that ends a session.
	deleteTimeout = 3 * time.Second
)

// conn is one connection. Each message to the server is an HTTP request. The server's
// messages arrive in the responses and, up to revision 2025-11-25, in a stream that the
// server may write to at any time.
type conn struct {
	client *remote.Client
	inbox  *remote.Inbox
	outbox *remote.Outbox
	// ctx ends with the connection.
	ctx    context.Context
	cancel context.CancelFunc
	close  sync.Once
	// retryDelay is the delay before a stream is reopened, unless the server specifies one.
	// It doubles with each attempt.
	retryDelay time.Duration

	mu      sync.Mutex
	session session
	calls   map[string]*rpcCall
	tools   map[string][]headerParam
	// listening is set once the stream for the server's own messages was requested.
	listening bool
}

func newConn(client *remote.Client) *conn {
	c := &conn{
		client:     client,
		inbox:      remote.NewInbox(),
		retryDelay: firstDelay,
		calls:      map[string]*rpcCall{},
		tools:      map[string][]headerParam{},
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.outbox = remote.NewOutbox(c.ctx, c.inbox)
	return c
}

// Info implements mcptransport.Conn. There is no process.
func (c *conn) Info() mcptransport.Info { return mcptransport.Info{} }

// Receive implements mcptransport.Conn.
func (c *conn) Receive(ctx context.Context) (mcptransport.Frame, error) { return c.inbox.Receive(ctx) }

// Send implements mcptransport.Conn. Calls and answers may overtake one another, as HTTP
// requests do. Notifications keep their order. Send returns after the server has accepted
// notifications/initialized, so that later messages follow it.
func (c *conn) Send(ctx context.Context, message []byte) error {
	if exit := c.inbox.Exit(); exit != nil {
		return exit
	}
	m, err := parseMessage(message)
	if err != nil {
		return err
	}
	switch {
	case m.head.IsCall():
		c.start(m)
		return nil
	case m.head.Method == "notifications/cancelled" && c.cancelCall(m):
		return nil
	}
	err = c.outbox.Send(ctx, m.head, func(ctx context.Context) error { return c.post(ctx, m) })
	if m.head.Method == "notifications/initialized" {
		c.listenOnce()
	}
	return err
}

// post sends a message that has no answer. It returns an error if the server does not accept it.
func (c *conn) post(ctx context.Context, m outgoing) error {
	resp, err := c.client.Do(ctx, remote.Request{
		Method: http.MethodPost, Header: c.headers(m), Body: m.text, Timeout: notifyTimeout,
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	remote.Drain(resp)
	if c.checkExpired(resp, m) {
		return nil
	}
	if err := c.client.StatusError(resp); err != nil {
		return err
	}
	return nil
}

// Close implements mcptransport.Conn.
func (c *conn) Close() error {
	c.close.Do(func() {
		if c.inbox.Exit() == nil {
			c.endSession()
		}
		c.shutdown("the connection was closed")
	})
	return nil
}

// shutdown ends the connection and everything in progress.
func (c *conn) shutdown(reason string) {
	c.inbox.End(reason)
	c.cancel()
	c.client.Close()
}
