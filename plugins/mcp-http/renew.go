package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

const (
	// renewTimeout is the maximum time to open a session in place of a refused one.
	renewTimeout = 30 * time.Second
	// maxRestored is the maximum number of requests that are repeated in a new session.
	maxRestored = 1000
	// maxRestoredSize is the maximum size of such a request, in bytes.
	maxRestoredSize = 16 << 10
	// codeNoSession is the error code with which servers refuse a session. MCP does not define one.
	codeNoSession = -32001
	// codeMethodNotFound is the error code of JSON-RPC for an unknown method.
	codeMethodNotFound = -32601
)

// refusedError is the error of a message that the server refused with its session, and did not
// execute.
type refusedError struct {
	session string
	status  int
	// answer is the JSON-RPC error in the response; nil if there is none.
	answer []byte
	err    *sdk.Error
}

func (e *refusedError) Error() string { return e.err.Error() }

// Unwrap returns the error of the response's status.
func (e *refusedError) Unwrap() error { return e.err }

// lostError is the error of a session that the server refused and that could not be renewed.
type lostError struct{ reason string }

func (e *lostError) Error() string { return e.reason }

// Unwrap returns the error for the host.
func (e *lostError) Unwrap() error {
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: e.reason, Retryable: true}
}

// isRefusal reports whether an HTTP error means that the server does not know the session in which
// a message was sent. MCP prescribes the status 404; some servers send 400. answer is the JSON-RPC
// error in the response, or nil. If it has the id of the message, the server has usually read the
// message, and the error is about the message.
func isRefusal(session string, status int, id, answer []byte) bool {
	if session == "" || status != http.StatusNotFound && status != http.StatusBadRequest {
		return false
	}
	if answer == nil || string(remote.HeadOf(answer).ID) != string(id) {
		return true
	}
	code, message := remote.ErrorOf(answer)
	switch {
	case code == codeNoSession || strings.Contains(strings.ToLower(message), "session"):
		return true
	case status == http.StatusNotFound:
		return code != codeMethodNotFound
	}
	return false
}

// repeat sends a call again in a new session, after the server has refused it with its session. A
// second refusal is final: the answer of a server that sent one, or else the end of the connection.
func (c *conn) repeat(call *rpcCall) error {
	if err := c.renew(call.ctx, call.sentIn, 0); err != nil {
		return err
	}
	if c.isAbandoned(call) {
		return nil
	}
	err := c.roundTrip(call)
	var refused *refusedError
	switch {
	case !errors.As(err, &refused):
		return err
	case refused.status == http.StatusNotFound:
		return &lostError{fmt.Sprintf("the session has expired on %s, which does not know the new session either; if "+
			"several servers share the URL, all requests of a session must reach the same one", c.client.Host())}
	case refused.answer != nil:
		c.deliver(call, call.withOwnID(refused.answer))
		return nil
	}
	return refused.err
}

// renew replaces a session that the server has refused. It opens the new session as the host has
// opened the first one, and repeats the requests that set the session's state. It returns nil if
// another message has renewed the session already. It fails with a lostError, or with the error of
// ctx.
func (c *conn) renew(ctx context.Context, refused string, shortStreams int) error {
	select {
	case c.renewing <- struct{}{}:
		defer func() { <-c.renewing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	current, initialize, restored := c.session.id, c.initialize, c.restored
	c.mu.Unlock()
	if current != refused {
		return nil
	}
	//nolint:contextcheck // the session is for all calls, not only for the one that ctx belongs to
	next, answer, err := c.openSession(initialize)
	if err != nil {
		return &lostError{fmt.Sprintf("the session has expired on %s, and no new session could be opened: %s",
			c.client.Host(), sdk.AsError(err).Message)}
	}
	c.mu.Lock()
	if c.session.id != refused {
		c.mu.Unlock()
		return nil // the host requests a new session itself
	}
	c.replaceSession(next)
	c.mu.Unlock()
	c.inbox.Log("the session had expired on " + c.client.Host() + "; opened a new one")
	for _, m := range restored {
		c.restore(m)
	}
	c.listenOnce(shortStreams) //nolint:contextcheck // as above
	for _, changed := range remote.ListsChanged(answer) {
		c.inbox.Put(changed)
	}
	return nil
}

// openSession sends the host's initialize request and completes the handshake. It returns the
// session and the server's answer.
func (c *conn) openSession(initialize outgoing) (_ session, answer []byte, _ error) {
	ctx, cancel := context.WithTimeout(c.ctx, renewTimeout)
	defer cancel()
	call := &rpcCall{outgoing: initialize, ctx: ctx, cancel: cancel, result: &answer}
	if err := c.roundTrip(call); err != nil {
		return session{}, nil, err
	}
	s := call.opened
	if s.revision == "" || s.revision >= modernFrom {
		_, reason := remote.ErrorOf(answer)
		if reason == "" {
			reason = "the server chose a protocol revision without sessions"
		}
		return session{}, nil, errors.New(reason)
	}
	header := s.headers()
	header.Set("Content-Type", "application/json")
	header.Set("Accept", "application/json, text/event-stream")
	resp, err := c.client.Do(ctx, remote.Request{
		Method: http.MethodPost, Header: header, Body: []byte(remote.Initialized), Timeout: renewTimeout,
	})
	if err != nil {
		return session{}, nil, err
	}
	defer resp.Body.Close()
	remote.Drain(resp)
	// Some servers send 400 for notifications that they do not expect.
	if failure := c.client.StatusError(resp); failure != nil && resp.StatusCode != http.StatusBadRequest {
		return session{}, nil, failure
	}
	return s, answer, nil
}

// remember keeps a request that sets the state of the session, for renew.
func (c *conn) remember(m outgoing) {
	if m.modern || len(m.text) > maxRestoredSize {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	same := func(other outgoing) bool { return other.head.Method == m.head.Method }
	switch m.head.Method {
	case "logging/setLevel":
	case "resources/subscribe", "resources/unsubscribe":
		same = func(other outgoing) bool {
			return other.head.Method == "resources/subscribe" && string(other.params["uri"]) == string(m.params["uri"])
		}
	default:
		return
	}
	kept := make([]outgoing, 0, len(c.restored)+1) // renew may read the old slice
	for _, other := range c.restored {
		if !same(other) {
			kept = append(kept, other)
		}
	}
	if m.head.Method != "resources/unsubscribe" && len(kept) < maxRestored {
		kept = append(kept, m)
	}
	c.restored = kept
}

// restore repeats a request that sets the state of the session. A failure is logged, because the
// host has had its answer.
func (c *conn) restore(m outgoing) {
	ctx, cancel := context.WithTimeout(c.ctx, renewTimeout)
	defer cancel()
	var answer []byte
	err := c.roundTrip(&rpcCall{outgoing: m, ctx: ctx, cancel: cancel, result: &answer})
	if err == nil && isError(answer) {
		_, reason := remote.ErrorOf(answer)
		err = errors.New(reason)
	}
	if err != nil {
		c.inbox.Log("could not repeat " + m.head.Method + " in the new session: " + sdk.AsError(err).Message)
	}
}
