package events

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// connection is one client's WebSocket. Its handler reads messages and writes the replies. Live
// notifications are written by a goroutine that runs only while some are queued.
type connection struct {
	server *server
	conn   *websocket.Conn
	req    *api.Request
	// ctx ends with the connection.
	ctx    context.Context //nolint:containedctx // the connection's
	cancel context.CancelFunc

	// frames and userFrames are the budgets of the client's messages.
	frames, userFrames *rate.Limiter

	queue   queue
	sending atomic.Bool
	pinging atomic.Bool

	mu        sync.Mutex
	principal *core.Principal
	lastRead  time.Time
	// channels maps a channel to the function that ends its subscription. Only the handler uses it.
	channels map[string]func()
}

func newConnection(ctx context.Context, s *server, conn *websocket.Conn, req *api.Request) *connection {
	c := &connection{
		server: s, conn: conn, req: req, channels: map[string]func(){}, frames: rate.NewLimiter(frameRate, frames),
	}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.queue.onReady = c.startSending
	return c
}

// serve handles messages until the connection ends.
func (c *connection) serve() {
	defer c.cancel()
	if !c.signIn() {
		return
	}
	userID := c.principal.User.ID
	defer func() {
		c.server.remove(c, userID)
		for _, stop := range c.channels {
			stop()
		}
	}()
	for invalid := 0; invalid < maxInvalid; {
		kind, data, err := c.conn.Read(c.ctx)
		if err != nil {
			_ = c.conn.CloseNow()
			return
		}
		if !c.frames.Allow() || !c.userFrames.Allow() {
			c.close(websocket.StatusPolicyViolation, tooManyFrames)
			return
		}
		c.mu.Lock()
		c.lastRead = time.Now()
		c.mu.Unlock()
		fields, err := decodeObject(kind, data)
		invalid++
		if err == nil {
			invalid = 0 // a well-formed message never closes the connection
			err = c.handleFields(fields)
		}
		if err != nil && c.sendError(err) != nil {
			return
		}
	}
	c.close(websocket.StatusPolicyViolation, "too many invalid messages")
}

// handleFields executes the message with the fields.
func (c *connection) handleFields(fields map[string]json.RawMessage) error {
	m, err := newMessage(fields)
	if err != nil {
		return err
	}
	return c.handle(m)
}

// tooManyFrames is the reason of the close message to a client that exceeds its frame budget.
const tooManyFrames = "too many messages: see the limits in docs/websocket.md"

// onPing counts a ping frame, which the library answers, towards the budget. It returns false for a ping
// that is not answered.
func (c *connection) onPing() bool {
	if c.frames.Allow() {
		return true
	}
	go c.close(websocket.StatusPolicyViolation, tooManyFrames) // it would wait for the reader, which calls onPing
	return false
}

// signIn waits for a message with a valid token, for at most Timeouts.Auth, and reports whether it has arrived. A client
// whose message is refused can try again in this time.
func (c *connection) signIn() bool {
	var refused atomic.Bool
	deadline := time.AfterFunc(c.server.Timeouts.Auth, func() {
		if refused.Load() {
			c.close(websocket.StatusPolicyViolation, "not signed in")
			return
		}
		_ = c.conn.CloseNow()
	})
	defer deadline.Stop()
	for range maxInvalid {
		kind, data, err := c.conn.Read(c.ctx)
		if err != nil {
			_ = c.conn.CloseNow()
			return false
		}
		err = c.trySignIn(kind, data)
		if err == nil {
			return deadline.Stop() && c.enter()
		}
		refused.Store(true)
		if c.sendError(err) != nil {
			return false
		}
	}
	c.close(websocket.StatusPolicyViolation, "not signed in")
	return false
}

// trySignIn sets the principal if the frame is a message with a valid token.
func (c *connection) trySignIn(kind websocket.MessageType, data []byte) error {
	fields, err := decodeObject(kind, data)
	if err != nil {
		return err
	}
	m, err := newMessage(fields)
	if err != nil {
		return err
	}
	if m.Type != "auth" {
		e := &core.Error{Code: core.CodeUnauthorized, Message: `The first message must be {"type":"auth","token":"…"}`}
		return e.WithField("type")
	}
	err = c.authenticate(m.Token)
	c.recordRefusal(err, "")
	return inField(err, "token")
}

// enter counts the connection of a client that has signed in, and confirms the sign-in. It closes the connection and
// returns false if the server or the user has too many.
func (c *connection) enter() bool {
	if err := c.server.add(c, c.principal.User.ID); err != nil {
		_ = c.sendError(err)
		c.close(websocket.StatusTryAgainLater, "not now")
		return false
	}
	return c.send(map[string]string{"type": "auth.ok"}) == nil
}

// authenticate sets the principal. It fails with Unauthorized, or with Forbidden for the token of
// another user than before.
func (c *connection) authenticate(token string) error {
	p, err := c.server.api.Authenticate(c.ctx, token)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.principal != nil && c.principal.User.ID != p.User.ID {
		return core.Forbidden("The token belongs to another user. Open another connection.")
	}
	c.principal, c.lastRead = p, time.Now()
	return nil
}

func (c *connection) currentPrincipal() *core.Principal {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.principal
}

// recordRefusal stores an audit record if err is a refusal.
func (c *connection) recordRefusal(err error, channel string) {
	code := core.CodeOf(err)
	if err == nil || code != core.CodeUnauthorized && code != core.CodeForbidden && code != core.CodeNotFound {
		return
	}
	c.server.api.RecordRefusal(c.ctx, c.req, c.currentPrincipal(), channel, err)
}

// startSending starts the goroutine that writes the queue, unless it runs.
func (c *connection) startSending() {
	if c.sending.CompareAndSwap(false, true) {
		go c.sendQueue()
	}
}

// sendQueue writes queued notifications until none is left.
func (c *connection) sendQueue() {
	for {
		messages, full := c.queue.take()
		if err := c.write(messages); err != nil {
			return
		}
		if full {
			c.close(websocket.StatusTryAgainLater, "too slow: connect again and subscribe with after")
			return
		}
		if len(messages) > 0 {
			continue
		}
		c.sending.Store(false)
		// A notification may have been queued since take.
		if c.queue.empty() || !c.sending.CompareAndSwap(false, true) {
			return
		}
	}
}

// write sends each message in a frame. If a client does not read, or the connection fails, it closes
// the connection, so that the reader ends, too, and returns errDisconnected.
func (c *connection) write(messages [][]byte) error {
	for _, m := range messages {
		ctx, cancel := context.WithTimeout(c.ctx, c.server.Timeouts.Write)
		err := c.conn.Write(ctx, websocket.MessageText, m)
		cancel()
		if err != nil {
			_ = c.conn.CloseNow()
			return errDisconnected
		}
	}
	return nil
}

var errDisconnected = errors.New("the client has disconnected")

// send writes v as JSON.
func (c *connection) send(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.write([][]byte{data})
}

// sendError sends an error message.
func (c *connection) sendError(err error) error {
	if errors.Is(err, errDisconnected) {
		return err
	}
	e := api.NewErrorReply(err, c.req.ID)
	if core.CodeOf(err) == core.CodeInternal {
		c.server.api.Logger().ErrorContext(c.ctx, "handling a WebSocket message failed", "request_id", c.req.ID, "error", err)
	}
	return c.send(struct {
		Type  string      `json:"type"`
		Error api.Failure `json:"error"`
	}{"error", e.Failure})
}

// close closes the connection, which also ends its reader.
func (c *connection) close(code websocket.StatusCode, reason string) { _ = c.conn.Close(code, reason) }

// check closes the connection if its credential has ended, and pings a silent client. checked caches
// the result for each credential in this round.
func (c *connection) check(checked map[string]error) {
	c.mu.Lock()
	p, lastRead := c.principal, c.lastRead
	c.mu.Unlock()
	key := p.Credential() + " " + string(p.User.Role)
	err, known := checked[key]
	if !known {
		err = c.server.api.CheckCredential(c.ctx, p)
		checked[key] = err
	}
	now := time.Now()
	if !p.ExpiresAt.IsZero() && now.After(p.ExpiresAt) {
		err = &core.Error{Code: core.CodeUnauthorized, Message: "The access token has expired. Connect with a new one."}
	}
	if core.CodeOf(err) == core.CodeUnauthorized {
		go func() {
			_ = c.sendError(err)
			c.close(websocket.StatusPolicyViolation, "signed out")
		}()
		return
	}
	if now.Sub(lastRead) >= c.server.Timeouts.Ping && c.pinging.CompareAndSwap(false, true) {
		go c.ping()
	}
}

// ping closes the connection if the client does not answer.
func (c *connection) ping() {
	defer c.pinging.Store(false)
	ctx, cancel := context.WithTimeout(c.ctx, c.server.Timeouts.Pong)
	defer cancel()
	if c.conn.Ping(ctx) != nil {
		_ = c.conn.CloseNow()
		return
	}
	c.mu.Lock()
	c.lastRead = time.Now()
	c.mu.Unlock()
}
