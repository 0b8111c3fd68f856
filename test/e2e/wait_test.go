package e2e_test

import (
	"bytes"
	"strconv"
	"sync"
	"testing"
	"time"
)

// eventually waits for a condition, and gives how long that took.
func eventually(t *testing.T, limit time.Duration, what string, condition func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !condition() {
		if time.Since(began) > limit {
			t.Fatalf("waited for %s for %s", what, limit)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(began)
}

// within checks a promised time, for which a race-detecting build gets more.
func within(t *testing.T, took, promised time.Duration, what string) {
	t.Helper()
	t.Logf("%s: %s", what, took.Round(time.Millisecond))
	if took > promised*slack {
		t.Errorf("%s took %s, promised are %s", what, took, promised*slack)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// output is what a process has written so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// tail is the end of it, as much as one likes to read.
func (o *output) tail() string {
	const most = 8 << 10
	s := o.String()
	return s[max(0, len(s)-most):]
}
