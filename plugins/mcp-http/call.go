package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// codeHeaderMismatch is MCP's error code for headers that do not match the message.
const codeHeaderMismatch = -32020

// rpcCall is a JSON-RPC request to the server that has not been answered yet.
type rpcCall struct {
	outgoing
	ctx    context.Context
	cancel context.CancelFunc
	// abandoned is set when the host has cancelled the call, which then gets no error
	// answer. It is guarded by conn.mu.
	abandoned bool
	// result, if set, receives the answer instead of the host.
	result *[]byte
	// headerError is the server's answer that headers are missing, until the call is
	// retried with them.
	headerError []byte
	retried     bool
	// sentIn is the id of the session in which the call was last sent; empty if there was none.
	sentIn string
	// opened is the session that the response to initialize opens.
	opened session
}

// start sends a call in the background. Its answer arrives in the inbox.
func (c *conn) start(m outgoing) {
	if m.head.Method == "initialize" {
		c.resetSession(m)
	}
	c.remember(m)
	call := c.newCall(m)
	c.mu.Lock()
	c.calls[string(m.head.ID)] = call
	c.mu.Unlock()
	go func() {
		defer c.remove(call)
		c.run(call)
	}()
}

// newCall returns a call whose context ends with the connection.
func (c *conn) newCall(m outgoing) *rpcCall {
	call := &rpcCall{outgoing: m}
	call.ctx, call.cancel = context.WithCancel(c.ctx)
	return call
}

// remove releases a call.
func (c *conn) remove(call *rpcCall) {
	call.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	if key := string(call.head.ID); c.calls[key] == call {
		delete(c.calls, key)
	}
}

// cancelCall abandons the call that the host's cancellation refers to. It returns false if
// the cancellation must be sent to the server. Since revision 2026-07-28, ending the HTTP
// request cancels the call instead.
func (c *conn) cancelCall(m outgoing) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.calls[string(m.params["requestId"])]
	if call == nil {
		return m.modern || c.session.revision == "" && c.session.modern != ""
	}
	call.abandoned = true
	if call.modern {
		call.cancel()
	}
	return call.modern
}

// isAbandoned reports whether the host has cancelled the call.
func (c *conn) isAbandoned(call *rpcCall) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return call.abandoned
}

// run sends a call and delivers an answer in any case, unless the call is abandoned. It ends the
// connection after the answer if the session is lost.
func (c *conn) run(call *rpcCall) {
	err := c.roundTrip(call)
	if call.headerError != nil {
		answer := call.headerError
		call.headerError, call.retried = nil, true
		if c.fetchToolHeaders(call) != nil {
			c.inbox.Put(answer)
			return
		}
		err = c.roundTrip(call)
	}
	var refused *refusedError
	if errors.As(err, &refused) {
		err = c.repeat(call)
	}
	if err == nil {
		return
	}
	c.answerWithError(call, err)
	var lost *lostError
	if errors.As(err, &lost) {
		c.shutdown(lost.reason)
	}
}

// answerWithError answers a call that the server did not answer.
func (c *conn) answerWithError(call *rpcCall, err error) {
	if call.ctx.Err() != nil || c.isAbandoned(call) {
		return
	}
	if errors.Is(err, remote.ErrTooLong) {
		c.inbox.Put(remote.TooLongAnswer(call.head.ID))
		return
	}
	c.inbox.Put(remote.ErrorAnswer(call.head.ID, sdk.AsError(err).Message))
}

// roundTrip sends a call and delivers the response. It returns an error if the call was not
// answered.
func (c *conn) roundTrip(call *rpcCall) error {
	header := c.headers(call.outgoing)
	call.sentIn = header.Get(sessionHeader)
	resp, err := c.client.Do(call.ctx, remote.Request{
		Method: http.MethodPost, Header: header, Body: call.text, Timeout: c.client.AnswerTimeout(),
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return c.readErrorResponse(call, resp)
	}
	if call.head.Method == "initialize" {
		call.opened.id = sessionIDOf(resp)
	}
	switch {
	case remote.MediaType(resp) == "text/event-stream":
		return c.readStream(call, resp)
	case remote.MediaType(resp) == "application/json":
		return c.readJSON(call, resp)
	}
	return c.client.Unexpected(resp)
}

// readErrorResponse handles an HTTP error. Its body may be an answer to the call, which has
// more detail than the status. It returns a refusedError if the server refuses the session.
func (c *conn) readErrorResponse(call *rpcCall, resp *http.Response) error {
	var answer []byte
	if remote.MediaType(resp) == "application/json" {
		if data, err := remote.ReadAll(resp.Body); err == nil {
			answer = call.errorIn(data)
		}
	}
	switch {
	case isRefusal(call.sentIn, resp.StatusCode, call.head.ID, answer):
		return &refusedError{
			session: call.sentIn, status: resp.StatusCode, answer: answer, err: c.client.StatusError(resp),
		}
	case answer != nil:
		c.deliver(call, call.withOwnID(answer))
		return nil
	}
	return c.client.StatusError(resp)
}

// errorIn returns the message in the body of an HTTP error, if it answers the call. An error
// without an id, or with the id null, also answers the call.
func (call *rpcCall) errorIn(data []byte) []byte {
	messages, err := remote.Messages(data)
	if err != nil || len(messages) != 1 {
		return nil
	}
	head := remote.HeadOf(messages[0])
	switch {
	case string(head.ID) == string(call.head.ID) && head.IsAnswer():
		return messages[0]
	case head.Method == "" && (head.ID == nil || head.HasNullID()) && isError(messages[0]):
		return messages[0]
	}
	return nil
}

// withOwnID returns an answer with the id of the call. It does not change an answer that has the id.
func (call *rpcCall) withOwnID(answer []byte) []byte {
	if string(remote.HeadOf(answer).ID) == string(call.head.ID) {
		return answer
	}
	return remote.WithID(answer, call.head.ID)
}

// isError reports whether an answer is a JSON-RPC error.
func isError(answer []byte) bool {
	code, _ := remote.ErrorOf(answer)
	return code != 0
}

// readJSON delivers the messages of a JSON response.
func (c *conn) readJSON(call *rpcCall, resp *http.Response) error {
	data, err := remote.ReadAll(resp.Body)
	switch {
	case errors.Is(err, remote.ErrTooLong):
		return err
	case err != nil:
		return c.client.Broke("in the middle of its response")
	}
	messages, err := remote.Messages(data)
	if err != nil {
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: c.client.Host() + " sent an invalid response: " + err.Error()}
	}
	answered := false
	for _, m := range messages {
		if head := remote.HeadOf(m); len(messages) == 1 && head.HasNullID() {
			m = remote.WithID(m, call.head.ID)
		}
		if c.deliver(call, m) {
			answered = true
		}
	}
	if !answered {
		return &sdk.Error{
			Code: sdk.CodeUnavailable, Message: c.client.Host() + " sent a response without an answer to the call",
		}
	}
	return nil
}

// deliver passes a message on to the host, and reports whether it answers the call.
func (c *conn) deliver(call *rpcCall, message []byte) (answered bool) {
	if len(message) > mcptransport.MaxMessage {
		return false // WithID may have made it longer
	}
	head := remote.HeadOf(message)
	if !head.IsAnswer() || string(head.ID) != string(call.head.ID) {
		c.inbox.Put(message)
		return false
	}
	switch {
	case call.head.Method == "initialize":
		call.opened.revision = revisionIn(message)
		if call.result == nil {
			c.setSession(call.opened)
		}
	case call.head.Method == "tools/list" && call.modern:
		c.storeToolHeaders(message)
	case call.head.Method == "tools/call" && call.modern && !call.retried && isHeaderError(message):
		call.headerError = message
		return true
	}
	if call.result != nil {
		*call.result = message
	} else {
		c.inbox.Put(message)
	}
	return true
}

// isHeaderError reports whether an answer has the code codeHeaderMismatch.
func isHeaderError(answer []byte) bool {
	if len(answer) > 64<<10 {
		return false
	}
	code, _ := remote.ErrorOf(answer)
	return code == codeHeaderMismatch
}
