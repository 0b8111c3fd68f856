package e2e_test

import (
	"bytes"
	"strconv"
	"sync"
	"testing"
	"time"
)

// waitTimeout bounds every wait and every request. It is long, because a test must pass on a
// busy machine, and no test that passes waits for it.
const waitTimeout = 3 * time.Minute

// eventually waits until a condition holds. what names the condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	began := time.Now()
	for !condition() {
		if time.Since(began) > waitTimeout {
			t.Fatalf("waited %s for %s", waitTimeout, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// output collects what a process writes.
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

// tail returns the last 8 KiB.
func (o *output) tail() string {
	const maxText = 8 << 10
	s := o.String()
	return s[max(0, len(s)-maxText):]
}
