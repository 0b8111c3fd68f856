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
	// maxReason is how many bytes of why something went wrong are told.
	maxReason = 1000
	// maxLastLine is how much of a child's last line is told with its end.
	maxLastLine = 300
)

// child is one connection to a server. Its stderr goes to the server's log as it
// comes, whether its messages are read or not.
type child struct {
	conn   mcptransport.Conn
	target *target
	log    *ring
	inbox  *inbox
	// gone is closed when all of the child has ended.
	gone chan struct{}
	// patience is how long a child that was closed may take to end.
	patience time.Duration
	// forget ends the wait for the child's end.
	forget context.CancelFunc

	mu sync.Mutex
	// lastLine is that of its stderr.
	lastLine string
	// exit is how it ended; died says that it did so before it was closed, and
	// cause is why it was.
	exit   error
	died   bool
	closed bool
	cause  string
}

// startChild makes a child of a connection, and reads it until its end.
func startChild(conn mcptransport.Conn, t *target, log *ring, patience time.Duration) *child {
	c := &child{conn: conn, target: t, log: log, inbox: newInbox(), gone: make(chan struct{}), patience: patience}
	ctx, forget := context.WithCancel(context.Background())
	c.forget = forget
	go c.pump(ctx)
	return c
}

// pump carries what comes until the child has ended.
func (c *child) pump(ctx context.Context) {
	defer close(c.gone)
	defer c.forget()
	for {
		frame, err := c.conn.Receive(ctx)
		if err != nil {
			c.mu.Lock()
			c.exit, c.died = err, !c.closed
			c.mu.Unlock()
			c.inbox.end()
			return
		}
		if frame.Message != nil {
			c.inbox.put(ctx, frame.Message)
			continue
		}
		line := c.target.redact.text(frame.Stderr)
		c.log.add(sourceStderr, line)
		if line = strings.TrimSpace(line); line != "" {
			c.mu.Lock()
			c.lastLine = line
			c.mu.Unlock()
		}
	}
}

// close begins the end of the child. Of several causes the first counts.
func (c *child) close(cause string) {
	c.mu.Lock()
	late := c.closed
	if !late {
		c.closed, c.cause = true, cause
	}
	c.mu.Unlock()
	if late {
		return
	}
	c.inbox.close()
	timer := time.AfterFunc(c.patience, func() {
		c.log.add(sourceHost, fmt.Sprintf("its transport did not end it within %s", c.patience))
		c.forget()
	})
	// Apart: a transport that is frozen shall hold up nobody.
	go func() {
		_ = c.conn.Close() // what came of it, pump sees
		<-c.gone
		timer.Stop()
	}()
}

// reason says how the child ended, without secrets.
func (c *child) reason() string {
	c.mu.Lock()
	exit, died, cause, lastLine := c.exit, c.died, c.cause, c.lastLine
	c.mu.Unlock()
	if !died && cause != "" {
		return cause
	}
	reason := c.target.redact.text(publicText(exit))
	if lastLine != "" && !strings.Contains(reason, lastLine) {
		reason += ": " + cut(lastLine, maxLastLine)
	}
	return cut(reason, maxReason)
}

// ended says whether the child has ended or is about to.
func (c *child) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.exit != nil || c.closed
}

// hasDied says whether the child ended on its own.
func (c *child) hasDied() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.died
}

// errEnded is what reading gives after a child's end.
type errEnded struct{ child *child }

func (e errEnded) Error() string { return e.child.reason() }

// publicText is what may be told of an error from a plugin or its host.
func publicText(err error) string {
	var shown *core.Error
	var own *sdk.Error
	var exit *mcptransport.Exit
	switch {
	case err == nil:
		return "it ended"
	case errors.As(err, &exit):
		return exit.Error()
	case errors.As(err, &shown):
		return withFields(shown)
	case errors.As(err, &own):
		return own.Message
	case errors.Is(err, context.DeadlineExceeded):
		return "it took too long"
	}
	return "the connection to it was lost"
}

func withFields(e *core.Error) string {
	s := e.Message
	for _, f := range e.Fields {
		s += fmt.Sprintf(" (%s: %s)", f.Field, f.Issue)
	}
	return s
}
