package main

import (
	"context"
	"encoding/json"
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
}

// start sends a call in the background. Its answer arrives in the inbox.
func (c *conn) start(m outgoing) {
	if m.head.Method == "initialize" {
		c.resetSession()
	}
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

// run sends a call and delivers an answer in any case, unless the call is abandoned.
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
	if err != nil {
		c.answerWithError(call, err)
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
	resp, err := c.client.Do(call.ctx, remote.Request{
		Method: http.MethodPost, Header: c.headers(call.outgoing), Body: call.text, Timeout: c.client.AnswerTimeout(),
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return c.readErrorResponse(call, resp)
	}
	if call.head.Method == "initialize" {
		c.storeSessionID(resp)
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
// more detail than the status.
func (c *conn) readErrorResponse(call *rpcCall, resp *http.Response) error {
	if remote.MediaType(resp) == "application/json" {
		data, err := remote.ReadAll(resp.Body)
		if err == nil && c.deliverError(call, data) {
			return nil
		}
	}
	c.checkExpired(resp, call.outgoing)
	return c.client.StatusError(resp)
}

// deliverError delivers a body that answers the call. It returns false for any other body. An
// error without an id also answers the call, unless it can mean that the server does not know
// the session.
func (c *conn) deliverError(call *rpcCall, data []byte) bool {
	messages, err := remote.Messages(data)
	if err != nil || len(messages) != 1 {
		return false
	}
	head := remote.HeadOf(messages[0])
	switch {
	case string(head.ID) == string(call.head.ID) && head.IsAnswer():
		c.deliver(call, messages[0])
		return true
	case head.Method == "" && (head.ID == nil || head.HasNullID()) && isError(messages[0]) &&
		(call.modern || c.sessionID() == ""):
		c.deliver(call, remote.WithID(messages[0], call.head.ID))
		return true
	}
	return false
}

// isError reports whether an answer is a JSON-RPC error.
func isError(answer []byte) bool {
	var m struct {
		Error *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	return json.Unmarshal(answer, &m) == nil && m.Error != nil && m.Error.Code != 0
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
		c.storeRevision(message)
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
	var m struct {
		Error struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	return json.Unmarshal(answer, &m) == nil && m.Error.Code == codeHeaderMismatch
}
