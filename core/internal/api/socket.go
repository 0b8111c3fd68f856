package api

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/agentarea/agentarea/core"
)

// socket is one client's connection. Its handler reads; what is to be sent is
// written by whoever has it, and live messages by a goroutine that runs only
// while there are any.
type socket struct {
	of   *sockets
	conn *websocket.Conn
	req  *request
	// ctx ends with the connection.
	ctx    context.Context //nolint:containedctx // the connection's
	cancel context.CancelFunc

	queue   socketQueue
	sending atomic.Bool
	pinging atomic.Bool

	mu        sync.Mutex
	principal *core.Principal
	heard     time.Time
	// channels has the end of each subscription.
	channels map[string]func()
}

func newSocket(ctx context.Context, of *sockets, conn *websocket.Conn, req *request) *socket {
	s := &socket{of: of, conn: conn, req: req, channels: map[string]func(){}}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.queue.ready = s.ready
	return s
}

// serve speaks with the client until one of them ends it.
func (s *socket) serve() {
	defer s.cancel()
	if !s.signIn() {
		return
	}
	userID := s.principal.User.ID
	defer func() {
		s.of.leave(s, userID)
		for _, stop := range s.channels {
			stop()
		}
	}()
	for mistakes := 0; mistakes < maxMistakes; {
		kind, data, err := s.conn.Read(s.ctx)
		if err != nil {
			_ = s.conn.CloseNow()
			return
		}
		s.mu.Lock()
		s.heard = time.Now()
		s.mu.Unlock()
		f, err := parseFrame(kind, data)
		if err == nil {
			err = s.handle(f)
		}
		mistakes++
		if err == nil {
			mistakes = 0
		} else if s.fail(err) != nil {
			return
		}
	}
	s.end(websocket.StatusPolicyViolation, "too many messages that can't be read")
}

// signIn waits for the first message, which must be a token.
func (s *socket) signIn() bool {
	ctx, cancel := context.WithTimeout(s.ctx, s.of.times.auth)
	defer cancel()
	kind, data, err := s.conn.Read(ctx)
	if err != nil {
		if ctx.Err() != nil {
			// The library has closed the connection with the context.
			_ = s.conn.CloseNow()
		}
		return false
	}
	f, err := parseFrame(kind, data)
	if err == nil && f.Type != "auth" {
		err = &core.Error{Code: core.CodeUnauthorized, Message: `The first message must be {"type":"auth","token":"…"}`}
	}
	if err == nil {
		err = s.authenticate(f.Token)
		s.recordRefusal(err, "")
	}
	if err == nil {
		if err = s.of.admit(s, s.principal.User.ID); err != nil {
			_ = s.fail(err)
			s.end(websocket.StatusTryAgainLater, "not now")
			return false
		}
	}
	if err != nil {
		_ = s.fail(err)
		s.end(websocket.StatusPolicyViolation, "not signed in")
		return false
	}
	return s.say(map[string]string{"type": "auth.ok"}) == nil
}

func (s *socket) authenticate(token string) error {
	p, err := s.of.api.auth.Verify(s.ctx, token)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.principal != nil && s.principal.User.ID != p.User.ID {
		return core.Forbidden("The token is another user's: open another connection")
	}
	s.principal, s.heard = p, time.Now()
	return nil
}

func (s *socket) as() *core.Principal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.principal
}

// recordRefusal adds a row of the audit for what was not allowed on the connection.
func (s *socket) recordRefusal(err error, channel string) {
	code := core.CodeOf(err)
	if err == nil || code != core.CodeUnauthorized && code != core.CodeForbidden && code != core.CodeNotFound {
		return
	}
	e := (&request{id: s.req.id, address: s.req.address, principal: s.as(), action: socketAction, target: plain(channel)}).entry()
	e.Outcome, e.Reason = core.OutcomeRefused, code
	s.of.api.record(s.ctx, e)
}

func (s *socket) handle(f *clientFrame) error {
	switch f.Type {
	case "auth":
		if err := s.authenticate(f.Token); err != nil {
			return err
		}
		return s.say(map[string]string{"type": "auth.ok"})
	case "subscribe":
		return s.subscribe(f)
	case "unsubscribe":
		stop := s.channels[f.Channel]
		if stop == nil {
			return core.Invalid("channel", "There is no subscription to %q", f.Channel)
		}
		stop()
		delete(s.channels, f.Channel)
		return s.say(map[string]string{"type": "unsubscribed", "channel": f.Channel})
	case "ping":
		return s.say(map[string]string{"type": "pong"})
	}
	return core.Invalid("type", "There is no message of type %q; there are: auth, subscribe, unsubscribe, ping", f.Type)
}

func (s *socket) subscribe(f *clientFrame) error {
	if s.channels[f.Channel] == nil && len(s.channels) >= maxChannels {
		return &core.Error{Code: core.CodeRateLimited, Message: "Too many subscriptions: unsubscribe from one first"}
	}
	filter, err := s.of.api.channelFilter(s.ctx, s.as(), f.Channel)
	if err != nil {
		s.recordRefusal(err, f.Channel)
		return err
	}
	if stop := s.channels[f.Channel]; stop != nil {
		stop()
		delete(s.channels, f.Channel)
	}
	hub := s.of.api.hub
	from := hub.Last()
	if f.After != nil {
		from = *f.After
	}
	err = s.say(struct {
		Type    string `json:"type"`
		Channel string `json:"channel"`
		Seq     int64  `json:"seq"`
	}{"subscribed", f.Channel, from})
	if err != nil {
		return err
	}
	stop, err := hub.Subscribe(s.ctx, f.Channel, *filter, from, &s.queue, s.write)
	if err != nil {
		return err
	}
	s.channels[f.Channel] = stop
	return nil
}

// ready has somebody write what waits.
func (s *socket) ready() {
	if s.sending.CompareAndSwap(false, true) {
		go s.send()
	}
}

func (s *socket) send() {
	for {
		messages, full := s.queue.take()
		if err := s.write(messages); err != nil {
			return
		}
		if full {
			s.end(websocket.StatusTryAgainLater, "too slow: connect again and subscribe with after")
			return
		}
		if len(messages) > 0 {
			continue
		}
		s.sending.Store(false)
		// One may have come in between.
		if s.queue.empty() || !s.sending.CompareAndSwap(false, true) {
			return
		}
	}
}

// write sends messages, a frame each. A client that reads nothing for too long is
// let go; a connection that fails is closed, so that its reader ends too.
func (s *socket) write(messages [][]byte) error {
	for _, m := range messages {
		ctx, cancel := context.WithTimeout(s.ctx, s.of.times.write)
		err := s.conn.Write(ctx, websocket.MessageText, m)
		cancel()
		if err != nil {
			_ = s.conn.CloseNow()
			return errGone
		}
	}
	return nil
}

var errGone = errors.New("the client is gone")

func (s *socket) say(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.write([][]byte{data})
}

// fail tells the client of an error.
func (s *socket) fail(err error) error {
	if errors.Is(err, errGone) {
		return err
	}
	e := reply(err, s.req.id)
	if core.CodeOf(err) == core.CodeInternal {
		s.of.api.log.ErrorContext(s.ctx, "websocket", "request_id", s.req.id, "error", err)
	}
	return s.say(struct {
		Type  string  `json:"type"`
		Error failure `json:"error"`
	}{"error", e.Failure})
}

// end closes the connection with a reason. The reader ends with it.
func (s *socket) end(code websocket.StatusCode, reason string) { _ = s.conn.Close(code, reason) }

// tend ends the connection when its token or login has ended, and asks a silent
// client whether it is still there. alive has what was found of logins just now.
func (s *socket) tend(alive map[string]error) {
	s.mu.Lock()
	p, heard := s.principal, s.heard
	s.mu.Unlock()
	as := p.Credential() + " " + string(p.User.Role)
	err, known := alive[as]
	if !known {
		err = s.of.api.stillAs(s.ctx, p)
		alive[as] = err
	}
	now := time.Now()
	if !p.ExpiresAt.IsZero() && now.After(p.ExpiresAt) {
		err = &core.Error{Code: core.CodeUnauthorized, Message: "The access token has expired: connect with a new one"}
	}
	if core.CodeOf(err) == core.CodeUnauthorized {
		go func() {
			_ = s.fail(err)
			s.end(websocket.StatusPolicyViolation, "signed out")
		}()
		return
	}
	if now.Sub(heard) >= s.of.times.ping && s.pinging.CompareAndSwap(false, true) {
		go s.ping()
	}
}

func (s *socket) ping() {
	defer s.pinging.Store(false)
	ctx, cancel := context.WithTimeout(s.ctx, s.of.times.pong)
	defer cancel()
	if s.conn.Ping(ctx) != nil {
		_ = s.conn.CloseNow()
		return
	}
	s.mu.Lock()
	s.heard = time.Now()
	s.mu.Unlock()
}
