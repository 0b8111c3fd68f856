package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

// upstream sends calls over a connection and matches the responses. It replaces the IDs of
// clients with its own, so that IDs that a client reuses, or that two clients share, never
// reach the server.
type upstream struct {
	conn   Conn
	times  *Times
	logger *slog.Logger
	// onMessage receives all messages that are not responses, in order, from one goroutine.
	onMessage func(*message)
	// onClose is called once, when the connection has closed.
	onClose func()
	// replaceTokens makes the upstream replace progress tokens as well as IDs.
	replaceTokens bool

	mu sync.Mutex
	// next is the ID of the newest call.
	next  int64
	calls map[int64]*call
	// closeErr is the error of new calls after the connection has closed, or nil.
	closeErr *rpcError
}

// call is a request that waits for its response.
type call struct {
	id int64
	// clientID and token are the ID and the progress token that the client sent. token is nil
	// if there is none.
	clientID, token []byte
	method          string
	// progress is the progress token that the server sees.
	progress string
	// out receives the response and the notifications of the call.
	out *stream
	// timeout is the maximum time without a message for the call. 0 means no timeout.
	timeout time.Duration
	// paused reports whether the call waits for the client, so that the timeout does not apply.
	// It may be nil.
	paused func() bool
	// logs is true if the request asked for log messages.
	logs bool
	// done is called when the call has ended. It may be nil.
	done func()

	timer *time.Timer
}

// newUpstream returns an upstream for conn. The caller sets the callbacks and then calls run.
func newUpstream(conn Conn, times *Times, logger *slog.Logger) *upstream {
	return &upstream{conn: conn, times: times, logger: logger, calls: map[int64]*call{}}
}

// run receives messages until the connection closes.
func (u *upstream) run(ctx context.Context) {
	for {
		b, err := u.conn.Receive(ctx)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			u.shutdown(ctx, err)
			return
		}
		m, err := parse(b)
		switch {
		case err != nil:
			u.logger.WarnContext(ctx, "ignoring an invalid message of an MCP server", "error", err, "bytes", len(b))
		case m.isResponse():
			u.onResponse(m)
		default:
			if m.method == "notifications/progress" {
				u.onProgress(string(get(m.params, "progressToken")))
			}
			u.onMessage(m)
		}
	}
}

// shutdown fails all open calls with the cause and closes the connection.
func (u *upstream) shutdown(ctx context.Context, cause error) {
	closeErr := &rpcError{Code: codeServer, Message: "The connection to the MCP server has closed: " + closeReason(cause)}
	u.mu.Lock()
	u.closeErr = closeErr
	calls := u.calls
	u.calls = nil
	u.mu.Unlock()
	for _, c := range calls {
		c.stop()
		c.fail(closeErr)
	}
	if err := u.conn.Close(); err != nil {
		u.logger.DebugContext(ctx, "closing the connection to an MCP server failed", "error", err)
	}
	u.onClose()
}

// closeReason returns the text about a connection error that a client may see.
func closeReason(err error) string {
	var e *core.Error
	switch {
	case errors.As(err, &e):
		return e.Message
	case errors.Is(err, context.Canceled):
		return "the connection was closed"
	default:
		return err.Error()
	}
}

// start sends a request under a new ID. If it returns an error, the call has not started.
func (u *upstream) start(ctx context.Context, c *call, m *message) *rpcError {
	u.mu.Lock()
	if u.closeErr != nil {
		u.mu.Unlock()
		return u.closeErr
	}
	u.next++
	c.id = u.next
	id := strconv.AppendInt(nil, c.id, 10)
	raw := m.withID(id)
	if token := get(m.params, "_meta", "progressToken"); token != nil {
		c.token, c.progress = token, string(token)
		if u.replaceTokens {
			c.progress = string(id)
			raw = replace(raw, id, "params", "_meta", "progressToken")
		}
	}
	u.calls[c.id] = c
	if c.timeout > 0 {
		c.timer = time.AfterFunc(c.timeout, func() { u.onTimeout(ctx, c) })
	}
	u.mu.Unlock()

	if err := u.write(ctx, raw); err != nil {
		if u.remove(c.id) == nil {
			return nil // shutdown has answered the call
		}
		return &rpcError{
			Code:    codeServer,
			Message: "The request could not be sent to the MCP server: " + closeReason(err),
		}
	}
	return nil
}

// write sends a message with a timeout, because a server that does not read must not block its
// clients.
func (u *upstream) write(ctx context.Context, raw []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), u.times.Send)
	defer cancel()
	return u.conn.Send(ctx, raw)
}

// send sends a message that needs no response. It logs a failure at debug level, because run
// notices a closed connection.
func (u *upstream) send(ctx context.Context, raw []byte) {
	if err := u.write(ctx, raw); err != nil {
		u.logger.DebugContext(ctx, "sending a message to an MCP server failed", "error", err)
	}
}

// remove removes the call and returns it. It returns nil if the call has already ended.
func (u *upstream) remove(id int64) *call {
	u.mu.Lock()
	c := u.calls[id]
	delete(u.calls, id)
	u.mu.Unlock()
	if c != nil {
		c.stop()
	}
	return c
}

// onResponse passes a response to its call, with the ID of the client.
func (u *upstream) onResponse(m *message) {
	id, err := strconv.ParseInt(string(m.id), 10, 64)
	if err != nil {
		return
	}
	c := u.remove(id)
	if c == nil {
		return // the call timed out or was cancelled
	}
	raw := m.withID(c.clientID)
	if c.method == methodListen {
		raw = replace(raw, c.clientID, "result", "_meta", metaSubscription)
	}
	c.out.addResponse(raw)
}

// onProgress restarts the timeout of the call with the progress token.
func (u *upstream) onProgress(token string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.calls {
		if c.token != nil && c.progress == token && c.timer != nil {
			c.timer.Reset(c.timeout)
		}
	}
}

// onTimeout fails a call that timed out, and cancels it at the server. It restarts the timer
// while the call is paused.
func (u *upstream) onTimeout(ctx context.Context, c *call) {
	if c.paused != nil && c.paused() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.calls[c.id] != nil {
			c.timer.Reset(c.timeout)
		}
		return
	}
	if u.remove(c.id) == nil {
		return
	}
	u.send(ctx, cancelled(c.id, "timed out"))
	c.fail(&rpcError{
		Code:    codeTimeout,
		Message: fmt.Sprintf("Request timed out: the MCP server sent no response to %s for %s", c.method, c.timeout),
	})
}

// abandon ends a call without a response and cancels it at the server.
func (u *upstream) abandon(ctx context.Context, c *call, reason string) {
	if u.remove(c.id) == nil {
		return
	}
	u.send(ctx, cancelled(c.id, reason))
	c.out.endCall()
}

// find returns the newest call that f accepts, and the number of such calls.
func (u *upstream) find(f func(*call) bool) (newest *call, count int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.calls {
		if !f(c) {
			continue
		}
		count++
		if newest == nil || c.id > newest.id {
			newest = c
		}
	}
	return newest, count
}

// request sends a request of the gateway itself and returns the response message.
func (u *upstream) request(ctx context.Context, method string, params any) (*message, error) {
	p, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	m, err := parseCompact(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":0,"method":%s,"params":%s}`, quote(method), p))
	if err != nil {
		return nil, err
	}
	c := &call{clientID: []byte("0"), method: method, out: newStream("", false, 1<<30), timeout: u.times.Call}
	c.out.pending = 1
	if err := u.start(ctx, c, m); err != nil {
		return nil, err
	}
	events, err := c.out.waitAll(ctx)
	if err != nil {
		u.abandon(ctx, c, "the response is no longer needed")
		return nil, err
	}
	if len(events) == 0 {
		return nil, errors.New("the MCP server did not answer " + method)
	}
	return parseCompact(events[len(events)-1])
}

// stop stops the timer and calls done.
func (c *call) stop() {
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.done != nil {
		c.done()
	}
}

// fail ends the call with an error response.
func (c *call) fail(e *rpcError) { c.out.addResponse(e.response(c.clientID)) }
