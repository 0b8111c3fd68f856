package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

const (
	// notifyTimeout is the maximum time for a server to accept a notification.
	notifyTimeout = 30 * time.Second
	// deleteTimeout is the maximum duration of the request that ends a session.
	deleteTimeout = 3 * time.Second
	// queueSize is the maximum number of notifications that wait for the previous one.
	queueSize = 64
)

// conn is one connection. Each message to the server is an HTTP request. The server's
// messages arrive in the responses and, up to revision 2025-11-25, in a stream that the
// server may write to at any time.
type conn struct {
	client *remote.Client
	inbox  *remote.Inbox
	// ctx ends with the connection.
	ctx           context.Context
	cancel        context.CancelFunc
	close         sync.Once
	notifications chan outgoing
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
		client:        client,
		inbox:         remote.NewInbox(),
		notifications: make(chan outgoing, queueSize),
		retryDelay:    firstDelay,
		calls:         map[string]*rpcCall{},
		tools:         map[string][]headerParam{},
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	go c.sendNotifications()
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
	case m.head.IsAnswer():
		go c.post(c.ctx, m) //nolint:contextcheck // continues after Send returns
	case m.head.Method == "notifications/initialized":
		c.post(ctx, m)
		c.listenOnce()
	case m.head.Method == "notifications/cancelled" && c.cancelCall(m):
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
			c.post(c.ctx, m)
		case <-c.ctx.Done():
			return
		}
	}
}

// post sends a message that has no answer. It logs an error in the server's log.
func (c *conn) post(ctx context.Context, m outgoing) {
	resp, err := c.client.Do(ctx, remote.Request{
		Method: http.MethodPost, Header: c.headers(m), Body: m.text, Timeout: notifyTimeout,
	})
	if err == nil {
		defer resp.Body.Close()
		drain(resp)
		if c.checkExpired(resp, m) {
			return
		}
		if e := c.client.StatusError(resp); e != nil {
			err = e
		}
	}
	if err != nil && c.ctx.Err() == nil {
		name := m.head.Method
		if name == "" {
			name = "an answer"
		}
		c.inbox.Log("could not send " + name + ": " + sdk.AsError(err).Message)
	}
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
