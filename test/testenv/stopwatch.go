package testenv

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Promise checks in slow runs that measure returns within limit. The time counts from the call of start,
// or from the beginning if measure does not call it. On a machine that was too busy for a result, measure
// runs once more. In other runs, measure runs once and nothing is checked.
//
// Use it only for a time that a document promises and that no order of events, count or fake clock can show.
// Call it in the test function itself: make test-slow finds slow tests by this call.
func Promise(tb testing.TB, limit time.Duration, what string, measure func(start func())) {
	tb.Helper()
	if !IsSlow() {
		measure(func() {})
		return
	}
	for range 2 {
		w := StartStopwatch()
		measure(w.restart)
		if w.Check(tb, limit, what) {
			return
		}
	}
}

// Stopwatch measures how long something takes, and how much other work on the machine delays it.
type Stopwatch struct {
	began time.Time
	// delay is the sum of the delays that load had recorded when the stopwatch started.
	delay time.Duration
}

// StartStopwatch returns a running stopwatch. The caller must call Check, which stops it.
func StartStopwatch() *Stopwatch { return &Stopwatch{delay: load.start(), began: time.Now()} }

// restart makes the time count from now.
func (w *Stopwatch) restart() {
	load.stop()
	*w = *StartStopwatch()
}

// Check stops the stopwatch and fails the test if it has run for longer than limit. It returns false if the
// machine was too busy for a result. what names the thing that was measured.
func (w *Stopwatch) Check(tb testing.TB, limit time.Duration, what string) bool {
	tb.Helper()
	took, delay := time.Since(w.began), load.stop()-w.delay
	tb.Logf("%s took %s; the machine delayed the test by %s meanwhile",
		what, took.Round(time.Millisecond), delay.Round(time.Millisecond))
	if took <= limit {
		return true
	}
	if tooBusy(delay, limit) {
		tb.Logf("%s: no result, because the machine is too busy to check the limit of %s", what, limit)
		return false
	}
	tb.Errorf("%s took %s, want at most %s", what, took, limit)
	return true
}

// tooBusy reports whether delays of this sum can be the reason that something took longer than limit.
func tooBusy(delay, limit time.Duration) bool { return delay > limit/4 }

// load records the delays while a stopwatch of the process runs.
var load sampler

// sampler measures how much later a goroutine runs than on an idle machine.
type sampler struct {
	mu    sync.Mutex
	users int
	// ended ends the goroutine when the last user stops.
	ended chan struct{}
	sum   time.Duration
}

// start starts the sampler, unless it runs, and returns the sum of all delays so far.
func (s *sampler) start() time.Duration {
	idle := idleWork()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users++; s.users == 1 {
		s.ended = make(chan struct{})
		go s.run(s.ended, idle)
	}
	return s.sum
}

// stop undoes start, and returns the sum of all delays.
func (s *sampler) stop() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 {
		close(s.ended)
	}
	return s.sum
}

const sampleInterval = 50 * time.Millisecond

// run adds up the delays until ended is closed. It sleeps and calculates by turns, because a busy machine
// wakes sleepers quickly and then lets them wait. idle is the time that work takes on an idle machine.
func (s *sampler) run(ended <-chan struct{}, idle time.Duration) {
	for {
		began := time.Now()
		select {
		case <-ended:
			return
		case <-time.After(sampleInterval):
		}
		work()
		late := max(0, time.Since(began)-sampleInterval-idle)
		s.mu.Lock()
		s.sum += late
		s.mu.Unlock()
	}
}

// idleWork returns how long work takes while no other process uses its CPU.
var idleWork = sync.OnceValue(func() time.Duration {
	best := time.Hour
	for range 10 {
		began := time.Now()
		work()
		best = min(best, time.Since(began))
	}
	return best
})

// work uses a CPU for some milliseconds, which is longer than a time slice of a busy machine.
func work() {
	x := uint64(1)
	for range 5_000_000 {
		x = x*6364136223846793005 + 1442695040888963407
	}
	workResult.Store(x)
}

// workResult keeps the compiler from removing the work.
var workResult atomic.Uint64
