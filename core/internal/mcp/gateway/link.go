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

// link is a child with the calls that are under way to it. It gives them ids of
// its own, so that no id of a client's, reused or another client's too, ever
// reaches the child.
type link struct {
	child  Child
	times  *Times
	logger *slog.Logger
	// heard gets what is no answer, in order, from one goroutine.
	heard func(*message)
	// gone is called once, when the child has ended.
	gone func()
	// tokens says that progress tokens are the link's own, too.
	tokens bool

	mu    sync.Mutex
	next  int64
	calls map[int64]*call
	dead  *rpcError
}

// call is a request that waits for its answer.
type call struct {
	id int64
	// clientID and token are the client's; token is nil without one.
	clientID, token []byte
	method          string
	// progress is what the child calls the call in notifications of progress.
	progress string
	// out gets what belongs to the call.
	out *stream
	// patience is how long the child may be silent; 0 is for ever.
	patience time.Duration
	// excused says that the time that passes is not the child's.
	excused func() bool
	// logs says that the call asked for log messages.
	logs bool
	// done is called when the call is not under way any more; it may be nil.
	done func()

	timer *time.Timer
}

func newLink(child Child, times *Times, logger *slog.Logger) *link {
	return &link{child: child, times: times, logger: logger, calls: map[int64]*call{}}
}

// run hears the child until it ends.
func (l *link) run(ctx context.Context) {
	for {
		b, err := l.child.Receive(ctx)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			l.die(ctx, err)
			return
		}
		m, err := parse(b)
		switch {
		case err != nil:
			l.logger.WarnContext(ctx, "an MCP server sent what is no message", "error", err, "bytes", len(b))
		case m.isResponse():
			l.answered(m)
		default:
			if m.method == "notifications/progress" {
				l.progressed(string(get(m.params, "progressToken")))
			}
			l.heard(m)
		}
	}
}

// die answers every call under way.
func (l *link) die(ctx context.Context, cause error) {
	dead := &rpcError{Code: codeServer, Message: "The MCP server has ended: " + reason(cause)}
	l.mu.Lock()
	l.dead = dead
	calls := l.calls
	l.calls = nil
	l.mu.Unlock()
	for _, c := range calls {
		c.stop()
		c.fail(dead)
	}
	if err := l.child.Close(); err != nil {
		l.logger.DebugContext(ctx, "closing an MCP server's connection", "error", err)
	}
	l.gone()
}

// reason is what a client may read of an error of a child's.
func reason(err error) string {
	var e *core.Error
	switch {
	case errors.As(err, &e):
		return e.Message
	case errors.Is(err, context.Canceled):
		return "its connection was closed"
	default:
		return err.Error()
	}
}

// start sends a request with an id of the link's own. An error was not sent.
func (l *link) start(ctx context.Context, c *call, m *message) *rpcError {
	l.mu.Lock()
	if l.dead != nil {
		l.mu.Unlock()
		return l.dead
	}
	l.next++
	c.id = l.next
	id := strconv.AppendInt(nil, c.id, 10)
	raw := m.withID(id)
	if token := get(m.params, "_meta", "progressToken"); token != nil {
		c.token, c.progress = token, string(token)
		if l.tokens {
			c.progress = string(id)
			raw = replace(raw, id, "params", "_meta", "progressToken")
		}
	}
	l.calls[c.id] = c
	if c.patience > 0 {
		c.timer = time.AfterFunc(c.patience, func() { l.late(ctx, c) })
	}
	l.mu.Unlock()

	if err := l.send(ctx, raw); err != nil {
		if l.remove(c.id) == nil {
			return nil // the child has ended meanwhile, and the call is answered
		}
		return &rpcError{Code: codeServer, Message: "The MCP server does not take the request: " + reason(err)}
	}
	return nil
}

// send has a time limit: a child that does not read must not hold up its clients.
func (l *link) send(ctx context.Context, raw []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.times.Send)
	defer cancel()
	return l.child.Send(ctx, raw)
}

// tell sends what needs no answer; that it fails, the reader finds out.
func (l *link) tell(ctx context.Context, raw []byte) {
	if err := l.send(ctx, raw); err != nil {
		l.logger.DebugContext(ctx, "an MCP server does not take a message", "error", err)
	}
}

// remove gives the call if it was under way.
func (l *link) remove(id int64) *call {
	l.mu.Lock()
	c := l.calls[id]
	delete(l.calls, id)
	l.mu.Unlock()
	if c != nil {
		c.stop()
	}
	return c
}

func (l *link) answered(m *message) {
	id, err := strconv.ParseInt(string(m.id), 10, 64)
	if err != nil {
		return
	}
	c := l.remove(id)
	if c == nil {
		return // it was given up
	}
	raw := m.withID(c.clientID)
	if c.method == methodListen {
		raw = replace(raw, c.clientID, "result", "_meta", metaSubscription)
	}
	c.out.answer(raw)
}

// progressed gives the call of the token its time anew.
func (l *link) progressed(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
		if c.token != nil && c.progress == token && c.timer != nil {
			c.timer.Reset(c.patience)
		}
	}
}

// late ends a call that took too long.
func (l *link) late(ctx context.Context, c *call) {
	if c.excused != nil && c.excused() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.calls[c.id] != nil {
			c.timer.Reset(c.patience)
		}
		return
	}
	if l.remove(c.id) == nil {
		return
	}
	l.tell(ctx, cancelled(c.id, "timed out"))
	c.fail(&rpcError{
		Code:    codeTimeout,
		Message: fmt.Sprintf("Request timed out: the MCP server has not answered %s for %s", c.method, c.patience),
	})
}

// abandon gives a call up and tells the child so.
func (l *link) abandon(ctx context.Context, c *call, why string) {
	if l.remove(c.id) == nil {
		return
	}
	l.tell(ctx, cancelled(c.id, why))
	c.out.settle()
}

// find gives the newest call that f accepts, and how many those are.
func (l *link) find(f func(*call) bool) (newest *call, count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
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

// ask is a request of the gateway's own; its answer is the whole message.
func (l *link) ask(ctx context.Context, method string, params any) (*message, error) {
	p, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	m, err := cut(fmt.Appendf(nil, `{"jsonrpc":"2.0","id":0,"method":%s,"params":%s}`, quote(method), p))
	if err != nil {
		return nil, err
	}
	c := &call{clientID: []byte("0"), method: method, out: newStream("", false, 1<<30), patience: l.times.Call}
	c.out.waiting = 1
	if err := l.start(ctx, c, m); err != nil {
		return nil, err
	}
	events, err := c.out.all(ctx)
	if err != nil {
		l.abandon(ctx, c, "not needed any more")
		return nil, err
	}
	if len(events) == 0 {
		return nil, errors.New("the MCP server did not answer " + method)
	}
	return cut(events[len(events)-1])
}

func (c *call) stop() {
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.done != nil {
		c.done()
	}
}

func (c *call) fail(e *rpcError) { c.out.answer(e.answer(c.clientID)) }
