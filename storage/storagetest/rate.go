package storagetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

// RunRates tests a counter; it is shared by all the tests.
func RunRates(t *testing.T, c core.RateCounter) {
	for name, test := range map[string]func(*testing.T, core.RateCounter){
		"minute":    testRateMinute,
		"second":    testRateSecond,
		"refused":   testRateRefused,
		"no_limit":  testRateNoLimit,
		"give_back": testRateGiveBack,
		"forget":    testRateForget,
		"any_key":   testRateAnyKey,
		"at_once":   testRateAtOnce,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}

// take counts one more, and says what came of it.
func take(t *testing.T, c core.RateCounter, key string, l core.RateLimit) core.Rate {
	t.Helper()
	r, err := c.TakeRate(t.Context(), key, l)
	ok(t, err)
	return r
}

func wantTaken(t *testing.T, c core.RateCounter, key string, l core.RateLimit, want bool) core.Rate {
	t.Helper()
	r := take(t, c, key, l)
	if r.Allowed != want {
		t.Fatalf("taken is %t, want %t: %+v", r.Allowed, want, r)
	}
	return r
}

func testRateMinute(t *testing.T, c core.RateCounter) {
	l := core.RateLimit{PerMinute: 3}
	var last core.Rate
	for i := range 3 {
		last = wantTaken(t, c, t.Name(), l, true)
		if last.Minute.Count != i+1 || last.Minute.Remaining <= 0 || last.Minute.Remaining > time.Minute {
			t.Fatalf("%d: %+v", i, last)
		}
	}
	r := wantTaken(t, c, t.Name(), l, false)
	if r.Minute.Count != 3 || r.RetryAfter(l) <= 0 || r.RetryAfter(l) > last.Minute.Remaining {
		t.Fatalf("%+v after %+v", r, last)
	}
	wantTaken(t, c, t.Name()+" of another", l, true)
}

// A window of a second ends, and all of its limit is there again.
func testRateSecond(t *testing.T, c core.RateCounter) {
	l := core.RateLimit{Burst: 2}
	wantTaken(t, c, t.Name(), l, true)
	wantTaken(t, c, t.Name(), l, true)
	r := wantTaken(t, c, t.Name(), l, false)
	wait := r.RetryAfter(l)
	if wait <= 0 || wait > time.Second {
		t.Fatalf("wait %s", wait)
	}
	time.Sleep(wait + time.Millisecond)
	r = wantTaken(t, c, t.Name(), l, true)
	if r.Second.Count != 1 || r.Minute.Count != 3 {
		t.Fatalf("in the next second %+v", r)
	}
	wantTaken(t, c, t.Name(), l, true)
}

// What is refused by one limit is counted by none.
func testRateRefused(t *testing.T, c core.RateCounter) {
	l := core.RateLimit{PerMinute: 10, Burst: 1}
	wantTaken(t, c, t.Name(), l, true)
	for range 20 {
		if r := wantTaken(t, c, t.Name(), l, false); r.Minute.Count != 1 {
			t.Fatalf("%+v", r)
		}
	}
	wantTaken(t, c, t.Name(), core.RateLimit{PerMinute: 2}, true)
	wantTaken(t, c, t.Name(), core.RateLimit{PerMinute: 2}, false)
}

func testRateNoLimit(t *testing.T, c core.RateCounter) {
	for range 50 {
		wantTaken(t, c, t.Name(), core.RateLimit{}, true)
	}
}

func testRateGiveBack(t *testing.T, c core.RateCounter) {
	l := core.RateLimit{PerMinute: 1}
	ok(t, c.RefundRate(t.Context(), t.Name()))
	wantTaken(t, c, t.Name(), l, true)
	ok(t, c.RefundRate(t.Context(), t.Name()))
	ok(t, c.RefundRate(t.Context(), t.Name())) // there is nothing left to give
	wantTaken(t, c, t.Name(), l, true)
	wantTaken(t, c, t.Name(), l, false)
}

func testRateForget(t *testing.T, c core.RateCounter) {
	l := core.RateLimit{PerMinute: 2}
	wantTaken(t, c, t.Name(), l, true)
	wantTaken(t, c, t.Name(), l, true)
	ok(t, c.ResetRate(t.Context(), t.Name()))
	if r := wantTaken(t, c, t.Name(), l, true); r.Minute.Count != 1 {
		t.Fatalf("%+v", r)
	}
}

// A key may be whatever somebody has typed.
func testRateAnyKey(t *testing.T, c core.RateCounter) {
	l := core.RateLimit{PerMinute: 1}
	for i, key := range []string{"", "\x00", "\xff\xfe", "ü", "'; DROP TABLE users; --", fmt.Sprintf("%01000d", 0)} {
		key = t.Name() + key
		if r := take(t, c, key, l); !r.Allowed {
			t.Errorf("key %d: %+v", i, r)
		}
		if r := take(t, c, key, l); r.Allowed {
			t.Errorf("key %d, again: %+v", i, r)
		}
	}
}

func testRateAtOnce(t *testing.T, c core.RateCounter) {
	l := core.RateLimit{PerMinute: 30}
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				r, err := c.TakeRate(t.Context(), t.Name(), l)
				if err != nil {
					t.Error(err)
				}
				if r.Allowed {
					taken.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := taken.Load(); n != int64(l.PerMinute) {
		t.Fatalf("%d of 80 at once were taken, and the limit is %d", n, l.PerMinute)
	}
}
