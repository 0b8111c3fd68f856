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

// codeHeaderMismatch is MCP's for headers that do not repeat the message.
const codeHeaderMismatch = -32020

// call is a call to the server that is under way.
type call struct {
	outgoing
	ctx    context.Context
	cancel context.CancelFunc
	// given up calls get no answer of ours; guarded by conn.mu.
	givenUp bool
	// keep takes the answer to a call of our own.
	keep *[]byte
	// mismatch is an answer that says that headers were missing, while there is
	// something to be done about it.
	mismatch []byte
	retried  bool
}

// start sends a call, whose answer comes by the inbox.
func (c *conn) start(m outgoing) {
	if m.head.Method == "initialize" {
		c.begin()
	}
	t := c.newCall(m)
	c.mu.Lock()
	c.calls[string(m.head.ID)] = t
	c.mu.Unlock()
	go func() {
		defer c.finish(t)
		c.run(t)
	}()
}

func (c *conn) newCall(m outgoing) *call {
	t := &call{outgoing: m}
	t.ctx, t.cancel = context.WithCancel(c.ctx)
	return t
}

func (c *conn) finish(t *call) {
	t.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	if key := string(t.head.ID); c.calls[key] == t {
		delete(c.calls, key)
	}
}

// cancelled gives a call up that the host no longer wants. It is false when the
// server is to be told: since 2026-07-28 it sees that the request has ended.
func (c *conn) cancelled(m outgoing) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.calls[string(m.params["requestId"])]
	if t == nil {
		return m.modern || c.session.revision == "" && c.session.modern != ""
	}
	t.givenUp = true
	if t.modern {
		t.cancel()
	}
	return t.modern
}

func (c *conn) isGivenUp(t *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return t.givenUp
}

// run answers the call in any case, unless it is given up.
func (c *conn) run(t *call) {
	err := c.exchange(t)
	if t.mismatch != nil {
		answer := t.mismatch
		t.mismatch, t.retried = nil, true
		if c.learnTools(t) != nil {
			c.inbox.Put(answer)
			return
		}
		err = c.exchange(t)
	}
	if err != nil {
		c.fail(t, err)
	}
}

// fail answers a call that the server does not answer.
func (c *conn) fail(t *call, err error) {
	if t.ctx.Err() != nil || c.isGivenUp(t) {
		return
	}
	if errors.Is(err, remote.ErrTooLong) {
		c.inbox.Put(remote.TooLongAnswer(t.head.ID))
		return
	}
	c.inbox.Put(remote.ErrorAnswer(t.head.ID, sdk.AsError(err).Message))
}

// exchange sends a call and delivers what comes back. An error means that the
// call has not been answered.
func (c *conn) exchange(t *call) error {
	resp, err := c.client.Do(t.ctx, remote.Request{
		Method: http.MethodPost, Header: c.headers(t.outgoing), Body: t.text, Timeout: c.client.AnswerTimeout(),
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return c.refused(t, resp)
	}
	if t.head.Method == "initialize" {
		c.noteSession(resp)
	}
	switch {
	case remote.MediaType(resp) == "text/event-stream":
		return c.stream(t, resp)
	case remote.MediaType(resp) == "application/json":
		return c.body(t, resp)
	}
	return c.client.Unexpected(resp)
}

// refused takes an answer whose status is no success: it may hold the call's own
// answer, which knows more.
func (c *conn) refused(t *call, resp *http.Response) error {
	if remote.MediaType(resp) == "application/json" {
		data, err := remote.ReadAll(resp.Body)
		if err == nil && c.ownError(t, data) {
			return nil
		}
	}
	c.expired(resp, t.outgoing)
	return c.client.StatusError(resp)
}

// ownError delivers a body that answers the call. An error without an id is of
// the call too, but for that of a session that the server does not know.
func (c *conn) ownError(t *call, data []byte) bool {
	messages, err := remote.Messages(data)
	if err != nil || len(messages) != 1 {
		return false
	}
	head := remote.HeadOf(messages[0])
	switch {
	case string(head.ID) == string(t.head.ID) && head.IsAnswer():
		c.deliver(t, messages[0])
		return true
	case head.Method == "" && (head.ID == nil || head.HasNullID()) && isError(messages[0]) && (t.modern || c.sessionID() == ""):
		c.deliver(t, remote.WithID(messages[0], t.head.ID))
		return true
	}
	return false
}

func isError(answer []byte) bool {
	var m struct {
		Error *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	return json.Unmarshal(answer, &m) == nil && m.Error != nil && m.Error.Code != 0
}

// body takes an answer that is JSON.
func (c *conn) body(t *call, resp *http.Response) error {
	data, err := remote.ReadAll(resp.Body)
	switch {
	case errors.Is(err, remote.ErrTooLong):
		return err
	case err != nil:
		return c.client.Broke("in the middle of its answer")
	}
	messages, err := remote.Messages(data)
	if err != nil {
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: c.client.Host() + " answered with " + err.Error()}
	}
	answered := false
	for _, m := range messages {
		if head := remote.HeadOf(m); len(messages) == 1 && head.HasNullID() {
			m = remote.WithID(m, t.head.ID)
		}
		if c.deliver(t, m) {
			answered = true
		}
	}
	if !answered {
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: c.client.Host() + " sent no answer to the call"}
	}
	return nil
}

// deliver passes a message on, and says whether it answers the call.
func (c *conn) deliver(t *call, message []byte) (answered bool) {
	if len(message) > mcptransport.MaxMessage {
		return false // an answer with our id in it
	}
	head := remote.HeadOf(message)
	if !head.IsAnswer() || string(head.ID) != string(t.head.ID) {
		c.inbox.Put(message)
		return false
	}
	switch {
	case t.head.Method == "initialize":
		c.noteRevision(message)
	case t.head.Method == "tools/list" && t.modern:
		c.noteTools(message)
	case t.head.Method == "tools/call" && t.modern && !t.retried && isMismatch(message):
		t.mismatch = message
		return true
	}
	if t.keep != nil {
		*t.keep = message
	} else {
		c.inbox.Put(message)
	}
	return true
}

func isMismatch(answer []byte) bool {
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
