package remote

import (
	"context"
	"errors"
	"time"
)

// errStartTimeout is the cancellation cause of a request whose answer did not start in time.
var errStartTimeout = errors.New("the server did not start to answer in time")

// StartTimer cancels a request whose answer does not start in time.
type StartTimer struct {
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// WithStartTimeout returns a context for a request. The context is cancelled if the answer does not
// start within s.Timeout, or when ctx is cancelled. The caller must call Started when the answer starts
// and Close when the request has ended.
func (s *Server) WithStartTimeout(ctx context.Context) (context.Context, *StartTimer) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &StartTimer{cancel: cancel, timer: time.AfterFunc(s.Timeout, func() { cancel(errStartTimeout) })}
}

// Started stops the timer, because the answer has started.
func (t *StartTimer) Started() { t.timer.Stop() }

// Close cancels the context of the request.
func (t *StartTimer) Close() {
	t.timer.Stop()
	t.cancel(nil)
}
