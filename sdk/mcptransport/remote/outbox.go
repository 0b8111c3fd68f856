package remote

import (
	"context"
	"io"
	"net/http"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
)

// queueSize is the maximum number of notifications that wait for the previous one.
const queueSize = 64

// Outbox sends the messages of the host that have no answer, each as an HTTP request. Answers may overtake
// one another. Notifications keep their order.
type Outbox struct {
	// ctx ends with the connection.
	ctx           context.Context //nolint:containedctx // it is the lifetime of the connection
	inbox         *Inbox
	notifications chan func()
}

// NewOutbox returns an Outbox that sends until ctx ends. It logs errors in the inbox.
func NewOutbox(ctx context.Context, inbox *Inbox) *Outbox {
	o := &Outbox{ctx: ctx, inbox: inbox, notifications: make(chan func(), queueSize)}
	go o.sendNotifications()
	return o
}

// Send sends a message that has no answer with post, which returns an error if the server does not accept the
// message. Send waits only for notifications/initialized, so that later messages follow it, and for space in
// the queue of notifications. It returns an error only if ctx ends first.
func (o *Outbox) Send(ctx context.Context, head Head, post func(context.Context) error) error {
	switch {
	case head.IsAnswer():
		go o.post(o.ctx, head, post) //nolint:contextcheck // continues after Send returns
	case head.Method == "notifications/initialized":
		o.post(ctx, head, post)
	default:
		select {
		case o.notifications <- func() { o.post(o.ctx, head, post) }:
		case <-ctx.Done():
			return ctx.Err()
		case <-o.ctx.Done():
		}
	}
	return nil
}

// sendNotifications sends notifications one after the other until the connection ends.
func (o *Outbox) sendNotifications() {
	for {
		select {
		case send := <-o.notifications:
			send()
		case <-o.ctx.Done():
			return
		}
	}
}

// post sends a message and logs an error in the server's log.
func (o *Outbox) post(ctx context.Context, head Head, post func(context.Context) error) {
	err := recovered(ctx, post)
	if err == nil || o.ctx.Err() != nil {
		return
	}
	name := head.Method
	if name == "" {
		name = "an answer"
	}
	o.inbox.Log("could not send " + name + ": " + sdk.AsError(err).Message)
}

// recovered calls post and converts a panic to an error, because post may run in a goroutine of the Outbox.
func recovered(ctx context.Context, post func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = plugin.Recovered(ctx, v)
		}
	}()
	return post(ctx)
}

// Drain reads a short rest of the body, so that the HTTP connection can be reused.
func Drain(resp *http.Response) {
	if resp.ContentLength >= 0 {
		_, _ = io.CopyN(io.Discard, resp.Body, 4096)
	}
}
