package remote

import (
	"context"
	"errors"
	"time"
)

var errSlow = errors.New("nothing came in time")

// Wait is the wait for the first of an answer.
type Wait struct {
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// Wait begins to wait as long as the server may take. The context is for the
// request: it ends with ctx, or when the wait is over. Whoever calls it calls Close.
func (s *Server) Wait(ctx context.Context) (context.Context, *Wait) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &Wait{cancel: cancel, timer: time.AfterFunc(s.Timeout, func() { cancel(errSlow) })}
}

// Begun says that the answer has begun: from now on it may take its time.
func (w *Wait) Begun() { w.timer.Stop() }

// Close ends the request.
func (w *Wait) Close() {
	w.timer.Stop()
	w.cancel(nil)
}
