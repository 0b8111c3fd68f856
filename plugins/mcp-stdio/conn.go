package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

const (
	// writeTimeout is the maximum time for a program to read a message.
	writeTimeout = 10 * time.Second
	// drainTimeout is the time for which output is still read after the program has exited. A child
	// process may keep the pipe open.
	drainTimeout = 300 * time.Millisecond
	// termTimeout is the maximum time for a program to exit after SIGTERM.
	termTimeout = time.Second
	// lineQueueSize is the maximum number of lines of standard error that wait for the host. When the
	// queue is full, further lines are counted and dropped.
	lineQueueSize = 1024
	// maxLastStderr is the number of lines of standard error that an Exit contains.
	maxLastStderr = 3
)

// conn is the connection to a running program.
type conn struct {
	shim  *shim
	grace time.Duration
	stdin *os.File
	info  mcptransport.Info

	// writeLock is held while a message is written to stdin.
	writeLock chan struct{}
	// messages is closed when there are no more messages. lines has the lines of standard
	// error.
	messages chan []byte
	lines    chan string
	closing  chan struct{}
	closed   sync.Once
	// done is closed when no process of the program is left.
	done chan struct{}

	mu sync.Mutex
	// lastStderr has the last lines of standard error.
	lastStderr []string
	// reason is set if this side terminated the program.
	reason string
}

// open starts a program.
func (t *transport) open(p *program) (*conn, error) {
	var pipes [3][2]*os.File // read and write end of the program's stdin, stdout and stderr
	for i := range pipes {
		r, w, err := os.Pipe()
		if err != nil {
			for _, pipe := range pipes[:i] {
				pipe[0].Close()
				pipe[1].Close()
			}
			return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: "cannot create a pipe: " + err.Error(), Retryable: true}
		}
		pipes[i] = [2]*os.File{r, w}
	}
	s, err := t.starter.start(p, t.limits, [3]*os.File{pipes[0][0], pipes[1][1], pipes[2][1]})
	pipes[0][0].Close()
	pipes[1][1].Close()
	pipes[2][1].Close()
	if err != nil {
		pipes[0][1].Close()
		pipes[1][0].Close()
		pipes[2][0].Close()
		return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: fmt.Sprintf("cannot start %s: %v", p.Command, err)}
	}
	c := &conn{
		shim: s, grace: t.config.Grace, stdin: pipes[0][1],
		info:      mcptransport.Info{PID: s.pid(), Sandbox: t.starter.sandbox(t.limits)},
		writeLock: make(chan struct{}, 1), messages: make(chan []byte), lines: make(chan string, lineQueueSize),
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	go c.run(pipes[1][0], pipes[2][0])
	return c, nil
}

// run reads the output until the program has exited, and for drainTimeout after that.
func (c *conn) run(stdout, stderr *os.File) {
	var reading sync.WaitGroup
	reading.Go(func() { c.readMessages(stdout) })
	reading.Go(func() { c.readLines(stderr) })
	<-c.shim.exited
	deadline := time.Now().Add(drainTimeout)
	_ = stdout.SetReadDeadline(deadline) // pipes support deadlines
	_ = stderr.SetReadDeadline(deadline)
	reading.Wait()
	stdout.Close()
	stderr.Close()
	c.stdin.Close()
	close(c.messages)
	close(c.done)
}

// Info implements mcptransport.Conn.
func (c *conn) Info() mcptransport.Info { return c.info }

// Send implements mcptransport.Conn.
func (c *conn) Send(ctx context.Context, message []byte) error {
	if bytes.ContainsAny(message, "\r\n") {
		var line bytes.Buffer
		if err := json.Compact(&line, message); err != nil {
			return &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the message is not valid JSON"}
		}
		message = line.Bytes()
	}
	select {
	case c.writeLock <- struct{}{}:
		defer func() { <-c.writeLock }()
	case <-c.done:
		return errEnded()
	case <-ctx.Done():
		return ctx.Err()
	}
	_ = c.stdin.SetWriteDeadline(time.Now().Add(writeTimeout)) // pipes support deadlines
	_, err := c.stdin.Write(append(message[:len(message):len(message)], '\n'))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// The program has received a part of the message, so no other message can follow.
		c.terminate(fmt.Sprintf("the program did not read its input for %s", writeTimeout))
	}
	if err != nil {
		return errEnded()
	}
	return nil
}

// errEnded returns the error for a program that has exited.
func errEnded() error {
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: "the MCP server has exited", Retryable: true}
}

// Receive implements mcptransport.Conn.
func (c *conn) Receive(ctx context.Context) (mcptransport.Frame, error) {
	for {
		select {
		case m, ok := <-c.messages:
			if ok {
				return mcptransport.Frame{Message: m}, nil
			}
			select {
			case l := <-c.lines:
				return mcptransport.Frame{Stderr: l}, nil
			default:
				return mcptransport.Frame{}, c.exit()
			}
		case l := <-c.lines:
			return mcptransport.Frame{Stderr: l}, nil
		case <-ctx.Done():
			return mcptransport.Frame{}, ctx.Err()
		}
	}
}

// exit returns how the program exited. It must be called after done is closed or messages
// has ended.
func (c *conn) exit() *mcptransport.Exit {
	c.mu.Lock()
	defer c.mu.Unlock()
	code, outcome := c.shim.exitStatus()
	message := outcome
	if c.reason != "" {
		message = c.reason
	}
	if len(c.lastStderr) > 0 && (c.reason == "" || c.reason != closedByHost) {
		message += "; last stderr: " + strings.Join(c.lastStderr, " | ")
	}
	return &mcptransport.Exit{Code: code, Message: message}
}

// closedByHost is the reason after Close.
const closedByHost = "stopped by the host"

// Close implements mcptransport.Conn. It closes stdin, then sends SIGTERM, then kills the program.
func (c *conn) Close() error {
	c.closed.Do(func() {
		close(c.closing)
		go func() {
			c.setReason(closedByHost)
			c.stdin.Close()
			for _, step := range []struct {
				wait   time.Duration
				action func()
			}{{c.grace, c.shim.term}, {termTimeout, c.shim.kill}} {
				select {
				case <-c.shim.exited:
					return
				case <-time.After(step.wait):
					step.action()
				}
			}
		}()
	})
	return nil
}

// terminate kills the program. The reason becomes part of its Exit.
func (c *conn) terminate(reason string) {
	c.setReason(reason)
	c.shim.kill()
}

// setReason stores the first reason.
func (c *conn) setReason(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reason == "" {
		c.reason = reason
	}
}
