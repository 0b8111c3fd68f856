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
	// writeTime is how long a program may take to read a message.
	writeTime = 10 * time.Second
	// lastTime is how long output is still read once the program has ended: one of
	// its children may hold the pipe for ever.
	lastTime = 300 * time.Millisecond
	// termTime is how long a program may take to end after SIGTERM.
	termTime = time.Second
	// lineQueue is how many lines of standard error may wait for the host; those
	// that come when it is full are counted and dropped.
	lineQueue = 1024
	// lastLines is how many of them an Exit tells.
	lastLines = 3
)

// conn is one program that runs.
type conn struct {
	keeper *keeper
	grace  time.Duration
	stdin  *os.File
	info   mcptransport.Info

	// writing is held by who writes to stdin.
	writing chan struct{}
	// messages is closed when there is no more; lines are of standard error.
	messages chan []byte
	lines    chan string
	closing  chan struct{}
	closed   sync.Once
	// gone closes when nothing of the program is left.
	gone chan struct{}

	mu sync.Mutex
	// last are the last lines of standard error.
	last []string
	// why is set when this end was the one to end it.
	why string
}

func (t *transport) open(p *program) (*conn, error) {
	var pipes [3][2]*os.File // of the program's stdin, stdout and stderr: read and write ends
	for i := range pipes {
		r, w, err := os.Pipe()
		if err != nil {
			for _, pipe := range pipes[:i] {
				pipe[0].Close()
				pipe[1].Close()
			}
			return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: "no pipe: " + err.Error(), Retryable: true}
		}
		pipes[i] = [2]*os.File{r, w}
	}
	k, err := t.starter.start(p, t.limits, [3]*os.File{pipes[0][0], pipes[1][1], pipes[2][1]})
	pipes[0][0].Close()
	pipes[1][1].Close()
	pipes[2][1].Close()
	if err != nil {
		pipes[0][1].Close()
		pipes[1][0].Close()
		pipes[2][0].Close()
		return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: fmt.Sprintf("%s does not start: %v", p.Command, err)}
	}
	c := &conn{
		keeper: k, grace: t.config.Grace, stdin: pipes[0][1],
		info:    mcptransport.Info{PID: k.pid(), Sandbox: t.starter.sandbox(t.limits)},
		writing: make(chan struct{}, 1), messages: make(chan []byte), lines: make(chan string, lineQueue),
		closing: make(chan struct{}), gone: make(chan struct{}),
	}
	go c.run(pipes[1][0], pipes[2][0])
	return c, nil
}

// run reads until the program has ended, and for a little while longer.
func (c *conn) run(stdout, stderr *os.File) {
	var reading sync.WaitGroup
	reading.Go(func() { c.readMessages(stdout) })
	reading.Go(func() { c.readLines(stderr) })
	<-c.keeper.ended
	deadline := time.Now().Add(lastTime)
	_ = stdout.SetReadDeadline(deadline) // a pipe has deadlines
	_ = stderr.SetReadDeadline(deadline)
	reading.Wait()
	stdout.Close()
	stderr.Close()
	c.stdin.Close()
	close(c.messages)
	close(c.gone)
}

// Info implements mcptransport.Conn.
func (c *conn) Info() mcptransport.Info { return c.info }

// Send implements mcptransport.Conn.
func (c *conn) Send(ctx context.Context, message []byte) error {
	if bytes.ContainsAny(message, "\r\n") {
		var line bytes.Buffer
		if err := json.Compact(&line, message); err != nil {
			return &sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the message is no JSON"}
		}
		message = line.Bytes()
	}
	select {
	case c.writing <- struct{}{}:
		defer func() { <-c.writing }()
	case <-c.gone:
		return ended()
	case <-ctx.Done():
		return ctx.Err()
	}
	_ = c.stdin.SetWriteDeadline(time.Now().Add(writeTime)) // a pipe has deadlines
	_, err := c.stdin.Write(append(message[:len(message):len(message)], '\n'))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// It has a part of a message now, so that no other can follow.
		c.end(fmt.Sprintf("it did not read its input for %s", writeTime))
	}
	if err != nil {
		return ended()
	}
	return nil
}

func ended() error {
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: "the MCP server has ended", Retryable: true}
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

// exit says how the program ended. Call it when it has.
func (c *conn) exit() *mcptransport.Exit {
	c.mu.Lock()
	defer c.mu.Unlock()
	code, how := c.keeper.outcome()
	message := how
	if c.why != "" {
		message = c.why
	}
	if len(c.last) > 0 && (c.why == "" || c.why != closedByHost) {
		message += "; its last lines: " + strings.Join(c.last, " | ")
	}
	return &mcptransport.Exit{Code: code, Message: message}
}

// closedByHost is how a connection ends that the host wants no more.
const closedByHost = "it was stopped"

// Close implements mcptransport.Conn.
func (c *conn) Close() error {
	c.closed.Do(func() {
		close(c.closing)
		go func() {
			c.because(closedByHost)
			c.stdin.Close()
			for _, step := range []struct {
				wait time.Duration
				then func()
			}{{c.grace, c.keeper.term}, {termTime, c.keeper.kill}} {
				select {
				case <-c.keeper.ended:
					return
				case <-time.After(step.wait):
					step.then()
				}
			}
		}()
	})
	return nil
}

// end ends the program at once, for a reason that its Exit then tells.
func (c *conn) end(why string) {
	c.because(why)
	c.keeper.kill()
}

func (c *conn) because(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why == "" {
		c.why = why
	}
}
