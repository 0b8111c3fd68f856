package supervise

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	errNone := errors.New("no answer")
	for name, test := range map[string]struct {
		// answers are the answers of the probes; further probes are answered.
		answers      []error
		ended, stop  time.Duration
		unresponsive bool
		missed       []int
		after        time.Duration
	}{
		"answers until the end":      {nil, 25 * time.Second, time.Hour, false, nil, 25 * time.Second},
		"answers until the stop":     {nil, time.Hour, 25 * time.Second, false, nil, 25 * time.Second},
		"three misses in a row":      {[]error{errNone, nil, errNone, errNone, errNone}, time.Hour, time.Hour, true, []int{1, 1, 2, 3}, 50 * time.Second},
		"two misses before the end":  {[]error{errNone, errNone, errNone}, 25 * time.Second, time.Hour, false, []int{1, 2}, 25 * time.Second},
		"two misses before the stop": {[]error{errNone, errNone, errNone}, time.Hour, 25 * time.Second, false, []int{1, 2}, 25 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var missed []int
				h := Health{
					Every: 10 * time.Second, Timeout: time.Second, Misses: 3,
					Probe: func(context.Context) (err error) {
						if len(test.answers) > 0 {
							err, test.answers = test.answers[0], test.answers[1:]
						}
						return err
					},
					Missed: func(_ context.Context, err error, misses int) {
						if !errors.Is(err, errNone) {
							t.Errorf("Missed got error %v, want %v", err, errNone)
						}
						missed = append(missed, misses)
					},
				}
				ended := make(chan struct{})
				timer := time.AfterFunc(test.ended, func() { close(ended) })
				defer timer.Stop()
				ctx, cancel := context.WithTimeout(t.Context(), test.stop)
				defer cancel()
				got := h.Watch(ctx, ended)
				if after := time.Since(began); got != test.unresponsive || after != test.after ||
					!slices.Equal(missed, test.missed) {
					t.Errorf("Watch() = %t after %s with misses %v, want %t after %s with misses %v",
						got, after, missed, test.unresponsive, test.after, test.missed)
				}
			})
		})
	}
}

func TestHealth_timeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		h := Health{
			Every: 10 * time.Second, Timeout: time.Second, Misses: 1,
			Probe: func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			},
		}
		if !h.Watch(t.Context(), nil) {
			t.Error("Watch() = false, want true")
		}
		if after := time.Since(began); after != 11*time.Second {
			t.Errorf("Watch ended after %s, want 11s", after)
		}
	})
}

// TestHealth_endDuringProbe checks that the end of the process is not counted as a miss.
func TestHealth_endDuringProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		h := Health{
			Every: time.Second, Timeout: time.Second, Misses: 1,
			Probe: func(context.Context) error {
				close(ended)
				return errors.New("the connection was lost")
			},
			Missed: func(context.Context, error, int) { t.Error("Missed was called") },
		}
		if h.Watch(t.Context(), ended) {
			t.Error("Watch() = true, want false")
		}
	})
}

func TestHealth_now(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		now := make(chan struct{}, 1)
		now <- struct{}{}
		h := Health{
			Every: time.Hour, Timeout: time.Second, Misses: 1, Now: now,
			Probe: func(context.Context) error { return errors.New("no answer") },
		}
		if !h.Watch(t.Context(), nil) || time.Since(began) != 0 {
			t.Errorf("Watch did not probe immediately, but after %s", time.Since(began))
		}
	})
}
