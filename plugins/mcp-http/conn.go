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
	// briefly is how long a server may take to say that it has a notification.
	briefly = 30 * time.Second
	// goodbye is how long the end of a session may take.
	goodbye = 3 * time.Second
	// queued is how many notifications may wait for the one before.
	queued = 64
)

// conn carries the messages of one connection. Each message to the server is an
// HTTP request of its own; those from it come in the answers and, up to revision
// 2025-11-25, by a stream that the server may write to at any time.
type conn struct {
	client *remote.Client
	inbox  *remote.Inbox
	// ctx ends with the connection.
	ctx    context.Context
	cancel context.CancelFunc
	close  sync.Once
	notes  chan outgoing
	// pace is waited before a stream is asked for again, unless the server says how
	// long; later tries wait longer.
	pace time.Duration

	mu      sync.Mutex
	session session
	calls   map[string]*call
	tools   map[string][]binding
	// listening is whether the stream for the server's own messages was asked for.
	listening bool
}

func newConn(client *remote.Client) *conn {
	c := &conn{
		client: client,
		inbox:  remote.NewInbox(),
		notes:  make(chan outgoing, queued),
		pace:   firstDelay,
		calls:  map[string]*call{},
		tools:  map[string][]binding{},
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	go c.notify()
	return c
}

// Info implements mcptransport.Conn: there is no process.
func (c *conn) Info() mcptransport.Info { return mcptransport.Info{} }

// Receive implements mcptransport.Conn.
func (c *conn) Receive(ctx context.Context) (mcptransport.Frame, error) { return c.inbox.Receive(ctx) }

// Send implements mcptransport.Conn. Calls and answers overtake one another, as
// on HTTP they may; notifications do not. What comes after
// notifications/initialized is sent when the server has that.
func (c *conn) Send(ctx context.Context, message []byte) error {
	if exit := c.inbox.Exit(); exit != nil {
		return exit
	}
	m, err := parse(message)
	if err != nil {
		return err
	}
	switch {
	case m.head.IsCall():
		c.start(m)
	case m.head.IsAnswer():
		go c.post(c.ctx, m) //nolint:contextcheck // it goes on when Send is over
	case m.head.Method == "notifications/initialized":
		c.post(ctx, m)
		c.listenOnce()
	case m.head.Method == "notifications/cancelled" && c.cancelled(m):
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
			c.post(c.ctx, m)
		case <-c.ctx.Done():
			return
		}
	}
}

// post sends what is not answered. The log has it when the server does not take it.
func (c *conn) post(ctx context.Context, m outgoing) {
	resp, err := c.client.Do(ctx, remote.Request{
		Method: http.MethodPost, Header: c.headers(m), Body: m.text, Timeout: briefly,
	})
	if err == nil {
		defer resp.Body.Close()
		drain(resp)
		if c.expired(resp, m) {
			return
		}
		if e := c.client.StatusError(resp); e != nil {
			err = e
		}
	}
	if err != nil && c.ctx.Err() == nil {
		what := m.head.Method
		if what == "" {
			what = "an answer"
		}
		c.inbox.Log(what + " was not taken: " + sdk.AsError(err).Message)
	}
}

// Close implements mcptransport.Conn.
func (c *conn) Close() error {
	c.close.Do(func() {
		if c.inbox.Exit() == nil {
			c.endSession()
		}
		c.end("the connection was closed")
	})
	return nil
}

// end ends the connection, with all that is under way.
func (c *conn) end(why string) {
	c.inbox.End(why)
	c.cancel()
	c.client.Close()
}
