package supervise

import (
	"context"
	"errors"
	"time"
)

// Loop runs a process or a connection, and starts it again after it has ended.
//
//	Once ──▶ Exited ──▶ delay ──▶ Restarting ──▶ Once ──▶ …
type Loop struct {
	// Policy determines the delays.
	Policy Policy
	// Once starts the process and waits for its end. It returns how long the process was
	// running and why it ended. up is 0 if the start failed.
	Once func(ctx context.Context) (up time.Duration, err error)
	// Exited is called after Once, unless the context has ended.
	Exited func(ctx context.Context, e Exit)
	// Restarting is called at the end of the delay.
	Restarting func()
	// Wake ends a delay early. Optional.
	Wake <-chan struct{}
	// Retired is closed when the process must not be started again. Run then waits for the end of
	// its context. Optional.
	Retired <-chan struct{}
}

// Excused is an error of Once for an end that does not count for the circuit, because the process was not
// the cause.
type Excused struct{ Err error }

// Error implements error.
func (e *Excused) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Excused) Unwrap() error { return e.Err }

// Exit describes an end of the process or a failed start.
type Exit struct {
	Err error
	// Wait is the delay until the next start.
	Wait time.Duration
	// Open reports whether the circuit is open. Again reports whether it was already open before
	// the last start.
	Open, Again bool
}

// Run runs the process until ctx ends. It returns the last error of Once. Once can end ctx to give
// up.
func (l *Loop) Run(ctx context.Context) error {
	b := newRestartBackoff(l.Policy)
	for {
		up, err := l.Once(ctx)
		if ctx.Err() != nil {
			return err
		}
		wasOpen := b.open
		var excused *Excused
		wait := b.exited(time.Now(), up, !errors.As(err, &excused))
		l.Exited(ctx, Exit{Err: err, Wait: wait, Open: b.open, Again: wasOpen && b.open})
		if !l.wait(ctx, wait) {
			return err
		}
		l.Restarting()
	}
}

// wait waits until the next start is due. It returns false if there is none.
func (l *Loop) wait(ctx context.Context, delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.Wake:
	case <-l.Retired:
	case <-ctx.Done():
	}
	select {
	case <-l.Retired:
		<-ctx.Done()
	default:
	}
	return ctx.Err() == nil
}
