package main

import (
	"context"
	"errors"
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
	// stopListening ends the stream for the server's own messages; nil until it is requested.
	stopListening context.CancelFunc
	// initialize is the host's request for the session, with which a refused session is renewed.
	initialize outgoing
	// restored has the requests that set the state of the session, in their order.
	restored []outgoing
	// renewing is held while a refused session is renewed.
	renewing chan struct{}
}

func newConn(client *remote.Client) *conn {
	c := &conn{
		client:     client,
		inbox:      remote.NewInbox(),
		retryDelay: firstDelay,
		calls:      map[string]*rpcCall{},
		tools:      map[string][]headerParam{},
		renewing:   make(chan struct{}, 1),
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
		c.listenOnce(0) //nolint:contextcheck // the stream outlives the message
	}
	return err
}

// post sends a message that has no answer. It returns an error if the server does not accept it.
// A notification that the server refuses with its session is repeated once in a new session.
func (c *conn) post(ctx context.Context, m outgoing) error {
	err := c.postOnce(ctx, m)
	var refused *refusedError
	if !errors.As(err, &refused) {
		return err
	}
	switch {
	case m.head.IsAnswer(), m.head.Method == "notifications/cancelled":
		return nil // it concerns a request of the refused session
	case m.head.Method == "notifications/initialized" && refused.status == http.StatusBadRequest:
		return refused.err // some servers send 400 for notifications that they do not expect
	}
	if err := c.renew(ctx, refused.session, 0); err != nil {
		var lost *lostError
		if errors.As(err, &lost) {
			c.shutdown(lost.reason)
		}
		return err
	}
	if m.head.Method == "notifications/initialized" {
		return nil // renew has sent it
	}
	return c.postOnce(ctx, m)
}

// postOnce sends a message that has no answer. It returns a refusedError if the server refuses the
// session.
func (c *conn) postOnce(ctx context.Context, m outgoing) error {
	header := c.headers(m)
	resp, err := c.client.Do(ctx, remote.Request{
		Method: http.MethodPost, Header: header, Body: m.text, Timeout: notifyTimeout,
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	remote.Drain(resp)
	failure := c.client.StatusError(resp)
	switch in := header.Get(sessionHeader); {
	case failure == nil:
		return nil
	case isRefusal(in, resp.StatusCode, nil, nil):
		return &refusedError{session: in, status: resp.StatusCode, err: failure}
	}
	return failure
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
