package storagetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

// RunRates runs the suite for counters. All tests use the same counter with different keys.
func RunRates(t *testing.T, c core.RateCounter) {
	for name, test := range map[string]func(*testing.T, core.RateCounter){
		"minute":   testRateMinute,
		"second":   testRateSecond,
		"refused":  testRateRefused,
		"no_limit": testRateNoLimit,
		"refund":   testRateRefund,
		"reset":    testRateReset,
		"any_key":  testRateAnyKey,
		"at_once":  testRateAtOnce,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}

// take calls TakeRate.
func take(t *testing.T, c core.RateCounter, key string, l core.RateLimit) core.Rate {
	t.Helper()
	r, err := c.TakeRate(t.Context(), key, l)
	ok(t, err)
	return r
}

// wantTaken calls TakeRate and fails the test unless Allowed equals want.
func wantTaken(t *testing.T, c core.RateCounter, key string, l core.RateLimit, want bool) core.Rate {
	t.Helper()
	r := take(t, c, key, l)
	if r.Allowed != want {
		t.Fatalf("TakeRate = %+v, want Allowed %t", r, want)
	}
	return r
}

func testRateMinute(t *testing.T, c core.RateCounter) {
	l := core.RateLimit{PerMinute: 3}
	var last core.Rate
	for i := range 3 {
		last = wantTaken(t, c, t.Name(), l, true)
		if last.Minute.Count != i+1 || last.Minute.Remaining <= 0 || last.Minute.Remaining > time.Minute {
			t.Fatalf("TakeRate %d = %+v, want count %d", i, last, i+1)
		}
	}
	r := wantTaken(t, c, t.Name(), l, false)
	if r.Minute.Count != 3 || r.RetryAfter(l) <= 0 || r.RetryAfter(l) > last.Minute.Remaining {
		t.Fatalf("TakeRate = %+v after %+v", r, last)
	}
	wantTaken(t, c, t.Name()+" of another key", l, true)
}

// testRateSecond checks that the whole limit is available again when the window of a second ends.
func testRateSecond(t *testing.T, c core.RateCounter) {
	l := core.RateLimit{Burst: 2}
	wantTaken(t, c, t.Name(), l, true)
	wantTaken(t, c, t.Name(), l, true)
	r := wantTaken(t, c, t.Name(), l, false)
	wait := r.RetryAfter(l)
	if wait <= 0 || wait > time.Second {
		t.Fatalf("RetryAfter = %s, want up to 1s", wait)
	}
	time.Sleep(wait + time.Millisecond)
	r = wantTaken(t, c, t.Name(), l, true)
	if r.Second.Count != 1 || r.Minute.Count != 3 {
		t.Fatalf("in the next second: TakeRate = %+v, want counts 1 and 3", r)
	}
	wantTaken(t, c, t.Name(), l, true)
}

// testRateRefused checks that an action that one limit rejects is not counted by the other.
func testRateRefused(t *testing.T, c core.RateCounter) {
	l := core.RateLimit{PerMinute: 10, Burst: 1}
	wantTaken(t, c, t.Name(), l, true)
	for range 20 {
		if r := wantTaken(t, c, t.Name(), l, false); r.Minute.Count != 1 {
			t.Fatalf("TakeRate = %+v, want count 1 in the minute", r)
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

func testRateRefund(t *testing.T, c core.RateCounter) {
	l := core.RateLimit{PerMinute: 1}
	ok(t, c.RefundRate(t.Context(), t.Name()))
	wantTaken(t, c, t.Name(), l, true)
	ok(t, c.RefundRate(t.Context(), t.Name()))
	ok(t, c.RefundRate(t.Context(), t.Name())) // the count is already 0
	wantTaken(t, c, t.Name(), l, true)
	wantTaken(t, c, t.Name(), l, false)
}

func testRateReset(t *testing.T, c core.RateCounter) {
	l := core.RateLimit{PerMinute: 2}
	wantTaken(t, c, t.Name(), l, true)
	wantTaken(t, c, t.Name(), l, true)
	ok(t, c.ResetRate(t.Context(), t.Name()))
	if r := wantTaken(t, c, t.Name(), l, true); r.Minute.Count != 1 {
		t.Fatalf("TakeRate = %+v, want count 1 in the minute", r)
	}
}

// testRateAnyKey checks that any text can be a key.
func testRateAnyKey(t *testing.T, c core.RateCounter) {
	l := core.RateLimit{PerMinute: 1}
	for i, key := range []string{"", "\x00", "\xff\xfe", "ü", "'; DROP TABLE users; --", fmt.Sprintf("%01000d", 0)} {
		key = t.Name() + key
		if r := take(t, c, key, l); !r.Allowed {
			t.Errorf("key %d: TakeRate = %+v, want Allowed", i, r)
		}
		if r := take(t, c, key, l); r.Allowed {
			t.Errorf("key %d: second TakeRate = %+v, want not Allowed", i, r)
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
		t.Fatalf("%d of 80 concurrent calls were allowed, want %d", n, l.PerMinute)
	}
}
