package mcp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

const (
	// maxReason limits the length of an error in messages, in bytes.
	maxReason = 1000
	// maxLastLine limits the length of the last stderr line in a message, in bytes.
	maxLastLine = 300
)

// connection is one connection to a server. Its stderr goes to the server's log as it
// arrives, whether or not its messages are read.
type connection struct {
	raw      mcptransport.Conn
	endpoint *endpoint
	log      *logBuffer
	inbox    *inbox
	// done is closed when the connection has ended and its output has been read.
	done chan struct{}
	// stopTimeout is the maximum time for a closed connection to end.
	stopTimeout time.Duration
	// forget ends the wait for the end of the connection.
	forget context.CancelFunc

	mu sync.Mutex
	// lastLine is the last line of stderr.
	lastLine string
	// exit is the error with which the connection ended. exitedFirst reports whether it ended
	// before it was closed. closeReason is the reason why it was closed.
	exit        error
	exitedFirst bool
	closed      bool
	closeReason string
}

// startConnection returns a connection over conn and reads it until it ends.
func startConnection(conn mcptransport.Conn, t *endpoint, log *logBuffer, stopTimeout time.Duration) *connection {
	c := &connection{
		raw: conn, endpoint: t, log: log, inbox: newInbox(), done: make(chan struct{}), stopTimeout: stopTimeout,
	}
	ctx, forget := context.WithCancel(context.Background())
	c.forget = forget
	go c.readLoop(ctx)
	return c
}

// readLoop reads frames until the connection has ended.
func (c *connection) readLoop(ctx context.Context) {
	defer close(c.done)
	defer c.forget()
	for {
		frame, err := c.raw.Receive(ctx)
		if err != nil {
			c.mu.Lock()
			c.exit, c.exitedFirst = err, !c.closed
			c.mu.Unlock()
			c.inbox.end()
			return
		}
		if frame.Message != nil {
			c.inbox.put(ctx, frame.Message)
			continue
		}
		line := c.endpoint.redactor.redactAll(frame.Stderr)
		c.log.add(sourceStderr, line)
		if line = strings.TrimSpace(line); line != "" {
			c.mu.Lock()
			c.lastLine = line
			c.mu.Unlock()
		}
	}
}

// close starts closing the connection. The first reason is kept.
func (c *connection) close(cause string) {
	c.mu.Lock()
	late := c.closed
	if !late {
		c.closed, c.closeReason = true, cause
	}
	c.mu.Unlock()
	if late {
		return
	}
	c.inbox.close()
	timer := time.AfterFunc(c.stopTimeout, func() {
		c.log.add(sourceHost, fmt.Sprintf("the transport did not close the connection within %s", c.stopTimeout))
		c.forget()
	})
	// In the background, because a hung transport must not block the caller.
	go func() {
		_ = c.raw.Close() // readLoop sees the result
		<-c.done
		timer.Stop()
	}()
}

// exitReason describes the end of the connection, without secrets.
func (c *connection) exitReason() string {
	c.mu.Lock()
	exit, exitedFirst, cause, lastLine := c.exit, c.exitedFirst, c.closeReason, c.lastLine
	c.mu.Unlock()
	if !exitedFirst && cause != "" {
		return cause
	}
	reason := c.endpoint.redactor.redactAll(publicMessage(exit))
	if lastLine != "" && !strings.Contains(reason, lastLine) {
		reason += ": " + truncate(lastLine, maxLastLine)
	}
	return truncate(reason, maxReason)
}

// seeLog is the end of a message about a failure of a server. Its reason may contain output of the server, and a user
// who shares the server must not see that.
const seeLog = "Its creator finds the reason in its last_error and its log."

// exitError returns the error for users of a server whose connection has ended.
func (c *connection) exitError() error { return c.unavailable("exited.", c.exitReason()) }

// unavailable returns an error that says what happened to the server. The reason is for the log.
func (c *connection) unavailable(what, reason string) error {
	e := core.Unavailable("MCP server %q %s %s", c.endpoint.slug, what, seeLog)
	e.Err = errors.New(reason)
	return e
}

// ended reports whether the connection has ended or is being closed.
func (c *connection) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.exit != nil || c.closed
}

// exitedOnItsOwn reports whether the connection ended before it was closed.
func (c *connection) exitedOnItsOwn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.exitedFirst
}

// errEnded is the error of reads after the end of a connection.
type errEnded struct{ conn *connection }

func (e errEnded) Error() string { return e.conn.exitReason() }

// publicMessage returns the part of an error from a plugin or its host that users may see.
func publicMessage(err error) string {
	var public *core.Error
	var pluginErr *sdk.Error
	var exit *mcptransport.Exit
	switch {
	case err == nil:
		return "no reason was reported"
	case errors.As(err, &exit):
		return exit.Error()
	case errors.As(err, &public):
		return withFields(public)
	case errors.As(err, &pluginErr):
		return pluginErr.Message
	case errors.Is(err, context.DeadlineExceeded):
		return "the operation timed out"
	}
	return "the connection was lost"
}

func withFields(e *core.Error) string {
	s := e.Message
	for _, f := range e.Fields {
		s += fmt.Sprintf(" (%s: %s)", f.Field, f.Issue)
	}
	return s
}
