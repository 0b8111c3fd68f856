package supervise

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var errExit = errors.New("it exited")

// policy waits 1, 2, 4 … 8 seconds.
var policy = Policy{Initial: time.Second, Max: 8 * time.Second, JitterLow: 1, JitterHigh: 1, Reset: time.Minute}

// record has the calls of a Loop with their times.
type record struct {
	began  time.Time
	events []string
	exits  []Exit
}

func newRecord() *record { return &record{began: time.Now()} }

func (r *record) add(event string) {
	r.events = append(r.events, time.Since(r.began).String()+" "+event)
}

// loop returns a Loop whose process runs for each of the given durations, and then until the
// context ends.
func (r *record) loop(ups ...time.Duration) *Loop {
	return &Loop{
		Policy: policy,
		Once: func(ctx context.Context) (time.Duration, error) {
			r.add("start")
			up := time.Hour
			if len(ups) > 0 {
				up, ups = ups[0], ups[1:]
			}
			select {
			case <-time.After(up):
				return up, errExit
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		},
		Exited: func(_ context.Context, e Exit) {
			r.add("exit")
			r.exits = append(r.exits, e)
		},
		Restarting: func() { r.add("restart") },
	}
}

// run runs a loop for a duration.
func (r *record) run(t *testing.T, l *Loop, d time.Duration) error {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return l.Run(ctx)
}

func (r *record) want(t *testing.T, events ...string) {
	t.Helper()
	if !slices.Equal(r.events, events) {
		t.Errorf("got events %q, want %q", r.events, events)
	}
}

func TestLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRecord()
		err := r.run(t, r.loop(0, 10*time.Second, time.Minute), 80*time.Second)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Run() = %v, want the error of the last start", err)
		}
		r.want(t,
			"0s start", "0s exit", "1s restart",
			"1s start", "11s exit", "13s restart",
			"13s start", "1m13s exit", "1m14s restart", // it was running long enough for a reset
			"1m14s start")
		if e := r.exits[1]; e != (Exit{Err: errExit, Wait: 2 * time.Second}) {
			t.Errorf("second exit = %+v", e)
		}
	})
}

func TestLoop_endDuringDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRecord()
		if err := r.run(t, r.loop(time.Second), 1500*time.Millisecond); !errors.Is(err, errExit) {
			t.Errorf("Run() = %v, want %v", err, errExit)
		}
		r.want(t, "0s start", "1s exit")
	})
}

func TestLoop_onceGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRecord()
		ctx, cancel := context.WithCancel(t.Context())
		l := r.loop()
		l.Once = func(context.Context) (time.Duration, error) {
			cancel()
			return 0, errExit
		}
		if err := l.Run(ctx); !errors.Is(err, errExit) {
			t.Errorf("Run() = %v, want %v", err, errExit)
		}
		r.want(t)
	})
}

func TestLoop_circuit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRecord()
		l := r.loop(0, 0, 0)
		l.Policy.CircuitExits, l.Policy.CircuitWindow, l.Policy.HalfOpen = 2, time.Minute, 5*time.Minute
		_ = r.run(t, l, 20*time.Minute)
		r.want(t, "0s start", "0s exit", "1s restart", "1s start", "1s exit", "5m1s restart", "5m1s start", "5m1s exit",
			"10m1s restart", "10m1s start")
		want := []Exit{
			{Err: errExit, Wait: time.Second},
			{Err: errExit, Wait: 5 * time.Minute, Open: true},
			{Err: errExit, Wait: 5 * time.Minute, Open: true, Again: true},
		}
		if !slices.Equal(r.exits, want) {
			t.Errorf("got exits %+v, want %+v", r.exits, want)
		}
	})
}

func TestLoop_wake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRecord()
		wake := make(chan struct{}, 1)
		l := r.loop(0, 0, 0)
		l.Wake = wake
		time.AfterFunc(1500*time.Millisecond, func() { wake <- struct{}{} })
		_ = r.run(t, l, 5*time.Second)
		r.want(t, "0s start", "0s exit", "1s restart", "1s start", "1s exit", "1.5s restart", "1.5s start", "1.5s exit")
	})
}

func TestLoop_retired(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]time.Duration{"while running": time.Second, "during the delay": 4 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRecord()
				retired := make(chan struct{})
				l := r.loop(3*time.Second, 0)
				l.Policy.Initial = 4 * time.Second
				l.Retired = retired
				time.AfterFunc(after, func() { close(retired) })
				if err := r.run(t, l, time.Minute); !errors.Is(err, errExit) {
					t.Errorf("Run() = %v, want %v", err, errExit)
				}
				r.want(t, "0s start", "3s exit")
				if d := time.Since(r.began); d != time.Minute {
					t.Errorf("Run ended after %s, want at the end of its context", d)
				}
			})
		})
	}
}
